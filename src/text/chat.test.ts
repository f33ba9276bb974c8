import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyChatTemplate, type ChatMessage, hasChatTemplate } from "./chat.js";
import { loadChatTemplates } from "./load-chat-template.js";

const conversation: readonly ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Who is Ahab?" },
  { role: "assistant", content: "A captain." },
  { role: "user", content: "Of what? " },
];

/** The formats that the models' makers publish, as templates of our own. */
const llama3 = `{% for message in messages %}
{% set text = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}
{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}
{{- text }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`;
const qwen = `{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
    {{- "# Tools\n<tools>" }}
    {%- for tool in tools %}{{- "\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- endif %}
{%- for message in messages %}
    {%- if not (tools and loop.first and message.role == 'system') %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}`;
const glm4 = `[gMASK]<sop>{% for item in messages %}<|{{ item['role'] }}|>
{{ item['content'] }}{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`;

describe("applyChatTemplate", () => {
  it("writes LLaMA-3's format", () => {
    const config = { bos_token: "<|begin_of_text|>", chat_template: llama3 };
    expect(applyChatTemplate(conversation, config, { addGenerationPrompt: true })).toBe(
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
        "<|start_header_id|>user<|end_header_id|>\n\nWho is Ahab?<|eot_id|>" +
        "<|start_header_id|>assistant<|end_header_id|>\n\nA captain.<|eot_id|>" +
        "<|start_header_id|>user<|end_header_id|>\n\nOf what?<|eot_id|>" +
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    );
  });

  it("writes Qwen's format, with tools and further variables", () => {
    const config = { bos_token: null, chat_template: [{ name: "default", template: qwen }] };
    expect(applyChatTemplate(conversation.slice(0, 2), config)).toBe(
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho is Ahab?<|im_end|>\n",
    );
    const tool = { type: "function", function: { name: "look", parameters: { at: ["sea", 1] } } };
    expect(
      applyChatTemplate(conversation.slice(0, 2), config, {
        addGenerationPrompt: true,
        tools: [tool],
        variables: { enable_thinking: false },
      }),
    ).toBe(
      "<|im_start|>system\nBe brief.\n\n# Tools\n<tools>\n" +
        '{"type": "function", "function": {"name": "look", "parameters": {"at": ["sea", 1]}}}' +
        "\n</tools><|im_end|>\n<|im_start|>user\nWho is Ahab?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    );
  });

  it("writes GLM-4's format", () => {
    expect(applyChatTemplate(conversation.slice(0, 3), { chat_template: glm4 }, { addGenerationPrompt: true })).toBe(
      "[gMASK]<sop><|system|>\nBe brief.<|user|>\nWho is Ahab?<|assistant|>\nA captain.<|assistant|>\n",
    );
  });

  it.each([
    ["", { chat_template: llama3, bos_token: { content: "<s>" } }, "\n\nA captain."],
    ["that does not trim", { chat_template: qwen }, "\nA captain."],
  ])("stops within the last message to go on with it, in a template %s", (_, config, end) => {
    const text = applyChatTemplate(conversation.slice(0, 3), config, { continueFinalMessage: true });
    expect(text.endsWith(end)).toBe(true);
    expect(() =>
      applyChatTemplate(conversation, config, { continueFinalMessage: true, addGenerationPrompt: true }),
    ).toThrow("Choose one");
  });

  it("keeps the space at the end of a message that is continued, unless the template trims", () => {
    const last = [{ role: "assistant", content: "A captain, " }];
    const continued = (chat_template: string) =>
      applyChatTemplate(last, { chat_template }, { continueFinalMessage: true });
    expect(continued(qwen)).toBe("<|im_start|>assistant\nA captain, ");
    expect(continued("{{ messages[0].content | trim }}")).toBe("A captain,");
    expect(() => continued("nothing")).toThrow("does not show the last message");
  });

  it("knows Python's range and constants", () => {
    const chat_template = "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}";
    expect(applyChatTemplate([], { chat_template })).toBe("012531");
    expect(applyChatTemplate([], { chat_template: "{{ 'a' if tools is none and True and not false }}" })).toBe("a");
  });

  it("tells the time, in English and of the date it is given", () => {
    const config = { chat_template: "{{ strftime_now('%A %-d %B %Y, %d %b %y %H:%M:%S %I %p %j %% %Q') }}" };
    expect(applyChatTemplate([], config, { now: new Date(2024, 2, 5, 15, 4, 9) })).toBe(
      "Tuesday 5 March 2024, 05 Mar 24 15:04:09 03 PM 065 % %Q",
    );
  });

  it("passes on what the template refuses, and names what cannot be rendered", () => {
    const refusing = { chat_template: "{{ raise_exception('roles must alternate') }}" };
    expect(() => applyChatTemplate(conversation, refusing)).toThrow("chat template: roles must alternate");
    expect(() => applyChatTemplate(conversation, { chat_template: "{% for %}" })).toThrow(/^chat template: /);
    expect(() => applyChatTemplate(conversation, {})).toThrow("the tokenizer has no chat_template");
    expect(() => applyChatTemplate(conversation, { chat_template: glm4 }, { template: "rag" })).toThrow(
      'no chat template "rag" (default)',
    );
  });

  it("chooses among templates by name, and the one for tools where there are tools", () => {
    const config = {
      chat_template: [
        { name: "default", template: "plain" },
        { name: "tool_use", template: "tools" },
        { name: "rag", template: "{{ documents[0].title }}" },
      ],
      additional_special_tokens: ["<x>", { content: "<y>" }],
    };
    expect(applyChatTemplate([], config)).toBe("plain");
    expect(applyChatTemplate([], config, { tools: [{}] })).toBe("tools");
    expect(applyChatTemplate([], config, { template: "rag", documents: [{ title: "Moby-Dick" }] })).toBe("Moby-Dick");
    expect(applyChatTemplate([], config, { template: "{{ additional_special_tokens | join }}" })).toBe("<x><y>");
  });
});

describe("loadChatTemplates", () => {
  it("reads the files beside the tokenizer, which go before its own", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tessera-chat-"));
    try {
      const config = { chat_template: "old", eos_token: "</s>" };
      expect(await loadChatTemplates(folder, config)).toBe(config);
      writeFileSync(join(folder, "chat_template.jinja"), "new {{ eos_token }}");
      mkdirSync(join(folder, "additional_chat_templates"));
      writeFileSync(join(folder, "additional_chat_templates", "rag.jinja"), "rag");
      const loaded = await loadChatTemplates(folder, config);
      expect(applyChatTemplate([], loaded)).toBe("new </s>");
      expect(applyChatTemplate([], loaded, { template: "rag" })).toBe("rag");
      expect(hasChatTemplate(await loadChatTemplates(folder, {}))).toBe(true);
      rmSync(join(folder, "chat_template.jinja"));
      expect(applyChatTemplate([], await loadChatTemplates(folder, config))).toBe("old");
      mkdirSync(join(folder, "chat_template.jinja"));
      await expect(loadChatTemplates(folder, config)).rejects.toThrow("chat_template.jinja: cannot be read");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("a tokenizer without a template has none", () => expect(hasChatTemplate({ chat_template: null })).toBe(false));
});
