// Fills the blanks of lines with a model that was trained to: [MASK] is a blank within a text, [gMASK] its end.
//   npx tsx examples/fill-blanks.ts runs/tang-glm-2022 "床前[MASK]光，疑是地上霜。" "[MASK]不见人，但闻人语响。"
import { fillBlanks, temperature } from "tessera-lm/generate";
import { loadModel } from "tessera-lm/pretrained";
import { loadTokenizer } from "tessera-lm/text";

const [folder = "runs/tang-glm-2022", ...texts] = process.argv.slice(2);
const model = loadModel(folder);
const tokenizer = await loadTokenizer(folder);
const id = (token: string) => {
  const found = tokenizer.idOf(token);
  if (found === undefined) throw new Error(`${folder}: the tokenizer has no ${token}`);
  return found;
};
const options = {
  blanks: [id("[MASK]"), id("[gMASK]")],
  start: id("<|startofpiece|>"),
  stop: id("<|endofpiece|>"),
  maxNewTokens: 32,
};
for (const text of texts) {
  const ids = tokenizer.encode(text);
  const read = async (more: object) => {
    const { ids: filled } = await fillBlanks(model, ids, { ...options, ...more });
    return tokenizer.decode(filled).replaceAll("\n", " ");
  };
  console.log(text);
  console.log("  most probable:", await read({}));
  for (const seed of [1, 2]) console.log(`  seed ${seed}:`, await read({ seed, processors: [temperature(0.7)] }));
}
