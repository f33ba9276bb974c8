import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import type { CompiledModel, TextOptions } from "../generate/index.js";
import type { ChatMessage } from "../text/chat.js";
import type { LoadedTokenizer } from "../text/index.js";
import { converse } from "./converse.js";
import { addGenerationFlags, type GenerationFlags, generationOptions } from "./generation-flags.js";
import { interruptible } from "./interruptible.js";
import { modelFolder } from "./model-folder.js";
import { whole } from "./options.js";

interface Flags extends GenerationFlags {
  readonly model: string;
  readonly system?: string;
  readonly template?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

/** `tessera chat`. */
export function addChat(program: Command): void {
  const command = program
    .command("chat")
    .description("talk with a model that was made for conversations; without a message, as long as you like")
    .argument("[message]", "what to say; the answer is printed")
    .requiredOption("--model <name|folder>", "a model folder with a chat template, or a name on the hub")
    .option("--system <text>", "what the model is told before the conversation");
  addGenerationFlags(command, 512)
    .option("--template <name>", "one of the model's chat templates (default: the one called default)")
    .option("--threads <n>", "processor threads (default: one a core)", whole("--threads", { min: 1, max: 1024 }))
    .option("--json", "print the conversation as one JSON list of messages after each answer")
    .addHelpText(
      "after",
      `
Examples:
  tessera chat --model my-llama "Who is Ahab?"
  tessera chat --model my-llama --system "Answer in one sentence." --temperature 0.7
                                        Ctrl-C ends an answer, Ctrl-D the conversation`,
    )
    .action(chat);
}

/** A model that answers, and what it remembers. */
interface Conversation {
  readonly model: CompiledModel;
  readonly tokenizer: LoadedTokenizer;
  readonly options: TextOptions;
  readonly flags: Flags;
  readonly messages: ChatMessage[];
}

async function chat(message: string | undefined, flags: Flags): Promise<void> {
  const folder = await modelFolder(flags.model);
  const [
    { readModel },
    { loadTokenizer },
    { loadChatTemplates },
    { nativeRuntime },
    { compileModel },
    { hasChatTemplate },
  ] = await Promise.all([
    import("../pretrained/load-model.js"),
    import("../text/load-tokenizer.js"),
    import("../text/load-chat-template.js"),
    import("../runtime/native.js"),
    import("../generate/index.js"),
    import("../text/chat.js"),
  ]);
  const runtime = nativeRuntime();
  const read = await loadTokenizer(folder);
  const tokenizer = { ...read, config: await loadChatTemplates(folder, read.config) };
  if (!hasChatTemplate(tokenizer.config))
    throw new TesseraError(
      "unsupported",
      `${folder}: the tokenizer has no chat template, so the model was not made for conversations. tessera generate continues texts`,
    );
  const model = readModel(folder, { task: "causal-lm" });
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  using compiled = await compileModel(model, {
    runtime,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  });
  const messages = flags.system === undefined ? [] : [{ role: "system", content: flags.system }];
  const conversation = { model: compiled, tokenizer, options: generationOptions(flags), flags, messages };
  if (message !== undefined) await interruptible((signal) => answer(conversation, message, signal));
  else await converse((line, signal) => answer(conversation, line, signal));
}

/** Prints the answer to a message as it comes, and remembers both. */
async function answer(
  { model, tokenizer, options, flags, messages }: Conversation,
  message: string,
  signal: AbortSignal,
): Promise<void> {
  const [{ streamText }, { applyChatTemplate }] = await Promise.all([
    import("../generate/index.js"),
    import("../text/chat.js"),
  ]);
  const render = () =>
    applyChatTemplate(messages, tokenizer.config, {
      addGenerationPrompt: true,
      ...(flags.template === undefined ? {} : { template: flags.template }),
    });
  const before = messages.slice();
  messages.push({ role: "user", content: message });
  const context = model.model.facts.contextLength ?? Number.POSITIVE_INFINITY;
  const room = Math.max(context / 2, context - flags.maxTokens);
  const tooLong = () => tokenizer.encode(render(), { addSpecialTokens: false }).length > room;
  // What the model cannot see any more is the oldest exchange, not what it was told at the beginning.
  let dropped = 0;
  for (; messages.filter(({ role }) => role === "user").length > 1 && tooLong(); dropped++) {
    const first = messages.findIndex(({ role }) => role === "user");
    const next = messages.findIndex(({ role }, i) => i > first && role === "user");
    messages.splice(first, next - first);
  }
  if (dropped > 0) {
    const what = dropped === 1 ? "the oldest exchange is" : `the ${dropped} oldest exchanges are`;
    aside(`the context of ${context} tokens is full: ${what} forgotten`);
  }
  let text = "";
  try {
    const settings = { ...options, addSpecialTokens: false, signal };
    for await (const piece of streamText(model, tokenizer, render(), settings)) {
      if (!flags.json) process.stdout.write(piece);
      text += piece;
    }
  } catch (error) {
    // An interrupted answer stays as far as it got; after any other fault the conversation is as it was.
    if (!(error instanceof TesseraError && error.code === "aborted")) {
      messages.splice(0, messages.length, ...before);
      throw error;
    }
    messages.push({ role: "assistant", content: text });
    throw error;
  } finally {
    if (!flags.json) process.stdout.write("\n");
  }
  messages.push({ role: "assistant", content: text });
  if (flags.json) process.stdout.write(`${JSON.stringify(messages)}\n`);
}

/** A remark beside the conversation, dim on a terminal. */
function aside(text: string): void {
  console.error(process.stderr.isTTY ? `\u001b[2m${text}\u001b[0m` : text);
}
