// Puts the present text of the code that the guide quotes into its pages.
//   node docs/guide/quote.mjs           writes the pages that are out of date
//   node docs/guide/quote.mjs --check   names them, and ends with 1 if there are any
// A quotation is marked by the file and the names declared in it, one or a range:
//   <!-- quote src/models/llama.ts block -->
//   <!-- quote src/models/t5.ts encoderBlock..decoderBlock -->
// and ends at <!-- /quote -->. What stands between is replaced.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const source = (file) => readFileSync(at(`../../${file}`), "utf8");

/** First line, with the comment above it, and the line behind the last of a declaration at the top level of a file. */
function declaration(lines, name, file) {
  const declares = new RegExp(`^(export )?(const|let|function|interface|type) ${name}\\b`);
  const line = lines.findIndex((text) => declares.test(text));
  if (line < 0) throw new Error(`${file}: nothing called ${name} is declared at its top level`);
  let start = line;
  while (/^(\/\/|\/\*\*| \*)/.test(lines[start - 1] ?? "")) start--;
  let end = line + 1;
  while (end < lines.length && !/^[^\s)\]}>]/.test(lines[end])) end++; // what begins at the margin, but for brackets that close
  return { start, end };
}

function quotation(file, names) {
  const lines = source(file).split("\n");
  const [first, last = first] = names.split("..").map((name) => declaration(lines, name, file));
  if (last.start < first.start) throw new Error(`${file}: ${names} is declared in another order`);
  return lines.slice(first.start, last.end).join("\n").trimEnd();
}

/** A page with every quotation as the code stands now. */
function renew(page, where) {
  const opened = page.match(/<!-- quote /g)?.length ?? 0;
  let found = 0;
  const text = page.replace(
    /<!-- quote (\S+) (\S+) -->\n[\s\S]*?<!-- \/quote -->/g,
    (_, file, names) => {
      found++;
      return `<!-- quote ${file} ${names} -->\n\`\`\`ts\n${quotation(file, names)}\n\`\`\`\n<!-- /quote -->`;
    },
  );
  if (found !== opened) throw new Error(`${where}: ${opened} quotations begin, ${found} end`);
  return text;
}

const pages = ["", "zh-CN/"].flatMap((folder) =>
  readdirSync(at(`./${folder}`))
    .filter((file) => file.endsWith(".md"))
    .map((file) => `${folder}${file}`),
);
const check = process.argv.includes("--check");
for (const name of pages) {
  const before = readFileSync(at(`./${name}`), "utf8");
  const after = renew(before, name);
  if (after === before) continue;
  if (check) {
    console.error(`docs/guide/${name}: quotes code that has changed since. Run npm run guide`);
    process.exitCode = 1;
  } else {
    writeFileSync(at(`./${name}`), after);
    console.log(`docs/guide/${name}: renewed`);
  }
}
