import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { messageOf, TesseraError } from "../core/errors.js";
import { isRecord } from "./component.js";
import { specialRoles } from "./tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-json.js";

/** One turn of a conversation. Further fields, such as `tool_calls`, reach the template as they are. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or what else the template knows. */
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** What a conversation is rendered with. */
export interface ChatTemplateOptions {
  /** Whether what begins the assistant's answer is set at the end. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** Whether the text ends within the last message, which the model then goes on with. Default false. */
  readonly continueFinalMessage?: boolean;
  /** Descriptions of functions that the model may call, as JSON schemas. Default none. */
  readonly tools?: readonly object[];
  /** Texts the model may refer to. Default none. */
  readonly documents?: readonly object[];
  /** Name of one of the tokenizer's templates, or a template. Default: `tool_use` with tools where there is one, else `default`. */
  readonly template?: string;
  /** Further variables of the template, such as `enable_thinking`. Default none. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** What `strftime_now` tells. Default: the time of the call. */
  readonly now?: Date;
}

/**
 * A conversation as the text that a model was trained to see: the tokenizer's chat template, rendered.
 *
 * @param config tokenizer_config.json: `chat_template`, a text or a list of `{ name, template }`, and the special tokens
 * @returns the text; its special tokens are spelled out, so encode it with `addSpecialTokens: false`
 * @throws TesseraError `unsupported` where there is no such template, `argument` where the template refuses the conversation
 * @example
 * applyChatTemplate([{ role: "user", content: "Hello" }], tokenizer.config, { addGenerationPrompt: true });
 */
export function applyChatTemplate(
  messages: readonly ChatMessage[],
  config: TokenizerConfig,
  options: ChatTemplateOptions = {},
): string {
  const { addGenerationPrompt = false, continueFinalMessage = false, now = new Date() } = options;
  if (addGenerationPrompt && continueFinalMessage)
    throw new TesseraError(
      "argument",
      "applyChatTemplate: addGenerationPrompt begins a new message, continueFinalMessage goes on with the last. Choose one",
    );
  const last = messages.at(-1);
  if (continueFinalMessage && last === undefined)
    throw new TesseraError("argument", "applyChatTemplate: there is no message to continue");
  const shown = continueFinalMessage
    ? [...messages.slice(0, -1), { ...last!, content: last!.content + endMark }]
    : messages;
  const rendered = render(templateOf(config, options), {
    ...specialTokensOf(config),
    ...options.variables,
    messages: shown,
    tools: options.tools ?? null,
    documents: options.documents ?? null,
    add_generation_prompt: addGenerationPrompt,
    raise_exception(message: unknown) {
      throw new TesseraError("argument", `chat template: ${String(message)}`);
    },
    strftime_now: (format: unknown) => strftime(now, String(format)),
  });
  if (!continueFinalMessage) return rendered;
  const at = rendered.lastIndexOf(endMark.trim());
  if (at < 0)
    throw new TesseraError(
      "unsupported",
      "applyChatTemplate: the template does not show the last message, or not its end",
    );
  // A template that trims messages has trimmed the mark, too.
  return rendered.startsWith(endMark, at) ? rendered.slice(0, at) : rendered.slice(0, at).trimEnd();
}

/** Whether a tokenizer has a template for conversations. */
export function hasChatTemplate(config: TokenizerConfig): boolean {
  return templatesOf(config).size > 0;
}

const endMark = "<<end of the message to continue>> ";

function templatesOf({ chat_template: given }: TokenizerConfig): ReadonlyMap<string, string> {
  const entries = Array.isArray(given)
    ? given
    : typeof given === "string"
      ? [{ name: "default", template: given }]
      : [];
  return new Map(
    entries.flatMap((entry): [string, string][] =>
      isRecord(entry) && typeof entry.name === "string" && typeof entry.template === "string"
        ? [[entry.name, entry.template]]
        : [],
    ),
  );
}

function templateOf(config: TokenizerConfig, { template, tools }: ChatTemplateOptions): string {
  const templates = templatesOf(config);
  const found =
    template === undefined
      ? ((tools ? templates.get("tool_use") : undefined) ?? templates.get("default"))
      : (templates.get(template) ?? (/[{}]/.test(template) ? template : undefined));
  if (found !== undefined) return found;
  const names = [...templates.keys()].join(", ");
  throw new TesseraError(
    "unsupported",
    template === undefined && names === ""
      ? "applyChatTemplate: the tokenizer has no chat_template, so the model was not made for conversations. Give a template"
      : `applyChatTemplate: the tokenizer has no chat template ${JSON.stringify(template ?? "default")} (${names || "none"})`,
  );
}

/** `bos_token` and its like as texts, and `additional_special_tokens` as a list, where the configuration has them. */
function specialTokensOf(config: TokenizerConfig): Readonly<Record<string, unknown>> {
  const text = (token: unknown) => (isRecord(token) ? token.content : token);
  const roles = specialRoles.flatMap((role) => {
    const token = text(config[`${role}_token`]);
    return typeof token === "string" ? [[`${role}_token`, token]] : [];
  });
  const { additional_special_tokens: more } = config;
  return {
    ...Object.fromEntries(roles),
    ...(Array.isArray(more) ? { additional_special_tokens: more.map(text) } : {}),
  };
}

const parsed = new Map<string, ReturnType<typeof parse>>();
const keptTemplates = 16;

function render(template: string, variables: Readonly<Record<string, unknown>>): string {
  try {
    let program = parsed.get(template);
    if (program === undefined) {
      program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
      if (parsed.size >= keptTemplates) parsed.clear();
      parsed.set(template, program);
    }
    const environment = new Environment();
    const constants = { true: true, True: true, false: false, False: false, none: null, None: null, range };
    for (const [name, value] of Object.entries({ ...constants, ...variables })) environment.set(name, value);
    return (new Interpreter(environment).run(program) as { readonly value: string }).value;
  } catch (cause) {
    if (cause instanceof TesseraError) throw cause;
    throw new TesseraError("unsupported", `chat template: ${messageOf(cause).replaceAll(/\s+/g, " ").slice(0, 200)}`, {
      cause,
    });
  }
}

/** Python's. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
}

const months = "January February March April May June July August September October November December".split(" ");
const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** A date in C's notation, in English, as templates were written for. */
function strftime(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const hour12 = date.getHours() % 12 || 12;
  const yearBegan = Date.UTC(date.getFullYear(), 0, 1);
  const dayOfYear = (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - yearBegan) / 86_400_000 + 1;
  const directives: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2),
    j: String(dayOfYear).padStart(3, "0"),
    B: months[date.getMonth()]!,
    b: months[date.getMonth()]!.slice(0, 3),
    A: days[date.getDay()]!,
    a: days[date.getDay()]!.slice(0, 3),
    H: two(date.getHours()),
    I: two(hour12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    "%": "%",
  };
  return format.replace(/%(-?)(.)/g, (all, short: string, directive: string) => {
    const text = directives[directive];
    if (text === undefined) return all;
    return short ? text.replace(/^[0 ](?=.)/, "") : text;
  });
}
