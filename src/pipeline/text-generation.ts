import { compileModel } from "../generate/compile-model.js";
import { generateText, type TextCompletion, type TextOptions } from "../generate/generate-text.js";
import { applyChatTemplate, type ChatMessage, type ChatTemplateOptions } from "../text/chat.js";
import { checkInputs, prompt as promptKind } from "./check-call.js";
import type { OpenedModel } from "./open-model.js";

/** How texts are continued: as {@link generateText} does, and what a conversation is rendered with. */
export interface ContinueOptions extends TextOptions, Pick<ChatTemplateOptions, "tools" | "documents" | "variables"> {
  /** Whether the result begins with the prompt, or a conversation's messages. Default true. */
  readonly returnFullText?: boolean;
  /** Whether the last message is gone on with, instead of answered. Default: whether it is the assistant's. */
  readonly continueFinalMessage?: boolean;
}

type NewText = ContinueOptions & { readonly returnFullText: false };

/** A text with its continuation, or the continuation alone. */
export interface GeneratedText {
  readonly generated_text: string;
}

/** A conversation with the assistant's answer. */
export interface GeneratedChat {
  readonly generated_text: readonly ChatMessage[];
}

/** Continuations of a prompt, `numReturnSequences` of them; of a conversation, its messages and the answer. */
export interface TextGeneration {
  (prompt: string, options?: ContinueOptions): Promise<readonly GeneratedText[]>;
  (prompts: readonly string[], options?: ContinueOptions): Promise<readonly (readonly GeneratedText[])[]>;
  (chat: readonly ChatMessage[], options: NewText): Promise<readonly GeneratedText[]>;
  (chats: readonly (readonly ChatMessage[])[], options: NewText): Promise<readonly (readonly GeneratedText[])[]>;
  (chat: readonly ChatMessage[], options?: ContinueOptions): Promise<readonly GeneratedChat[]>;
  (
    chats: readonly (readonly ChatMessage[])[],
    options?: ContinueOptions,
  ): Promise<readonly (readonly GeneratedChat[])[]>;
}

type Prompt = string | readonly ChatMessage[];

export async function openTextGeneration(opened: OpenedModel): Promise<TextGeneration & Disposable> {
  const { model, tokenizer, runtime, threads } = opened;
  const compiled = await compileModel(model, { runtime, ...(threads === undefined ? {} : { threads }) });

  async function go(prompts: readonly Prompt[], options: ContinueOptions) {
    const { returnFullText = true, continueFinalMessage, tools, documents, variables, ...generation } = options;
    const goesOn = (chat: readonly ChatMessage[]) => continueFinalMessage ?? chat.at(-1)?.role === "assistant";
    const rendered = prompts.map((prompt) =>
      typeof prompt === "string"
        ? prompt
        : applyChatTemplate(prompt, tokenizer.config, {
            addGenerationPrompt: !goesOn(prompt),
            continueFinalMessage: goesOn(prompt),
            ...(tools ? { tools } : {}),
            ...(documents ? { documents } : {}),
            ...(variables ? { variables } : {}),
          }),
    );
    // A rendered conversation spells its special tokens out.
    const settings = prompts.some((prompt) => typeof prompt !== "string")
      ? { addSpecialTokens: false, ...generation }
      : generation;
    const completions = await inBatches(opened.batchSize, rendered, settings, (batch, own) =>
      generateText(compiled, tokenizer, batch, own),
    );
    return completions.map((texts, i) =>
      texts.map(({ text }) => ({ generated_text: returnFullText ? whole(prompts[i]!, text) : text })),
    );
  }

  function whole(prompt: Prompt, text: string): string | readonly ChatMessage[] {
    if (typeof prompt === "string") return prompt + text;
    const last = prompt.at(-1);
    return last?.role === "assistant"
      ? [...prompt.slice(0, -1), { ...last, content: last.content + text }]
      : [...prompt, { role: "assistant", content: text }];
  }

  const call = async (given: Prompt | readonly Prompt[], options: ContinueOptions = {}) => {
    checkInputs(opened.where, given, promptKind);
    return isPrompt(given) ? (await go([given], options))[0]! : go(given, options);
  };
  return Object.assign(call as unknown as TextGeneration, { [Symbol.dispose]: () => compiled.dispose() });
}

const isPrompt = (given: Prompt | readonly Prompt[]): given is Prompt =>
  typeof given === "string" || (given.length > 0 && !Array.isArray(given[0]) && typeof given[0] === "object");

/**
 * Generates a few prompts at a time. Draws as one batch would: what a prompt becomes does not depend on how many go together.
 *
 * @returns the completions of each prompt
 */
export async function inBatches(
  batchSize: number,
  prompts: readonly string[],
  options: TextOptions,
  run: (batch: readonly string[], options: TextOptions) => Promise<TextCompletion[]>,
): Promise<TextCompletion[][]> {
  const { numReturnSequences: each = 1, seed } = options;
  const all: TextCompletion[][] = [];
  for (let start = 0; start < prompts.length; start += batchSize) {
    const batch = prompts.slice(start, start + batchSize);
    const found = await run(batch, seed === undefined ? options : { ...options, seed: seed + start * each });
    const count = found.length / batch.length;
    for (const i of batch.keys()) all.push(found.slice(i * count, (i + 1) * count));
  }
  return all;
}
