import { TesseraError } from "../core/errors.js";

/**
 * A configuration as transformers writes it: JSON with two spaces of indent, keys sorted, characters beyond ASCII escaped, one
 * newline at the end. Numbers are printed as Python prints them, `1e-05`, and whole numbers of the fields that transformers insists
 * to be floats as `1.0`, because it refuses `1` there. Fields that are undefined are left out.
 *
 * @throws TesseraError `argument` for NaN and infinity
 */
export function formatConfigJson(value: Readonly<Record<string, unknown>>): string {
  return `${format(value, "", "")}\n`;
}

/** Names of fields that hold a float even when it is whole. */
const floatField =
  /(?:drop(?:out)?(?:_prob|_rate)?|_prob|_eps|epsilon|theta|_std|initializer_(?:factor|range)|rotary_factor|^(?:short_|long_|attention_|low_freq_|high_freq_)?factor|^(?:beta_fast|beta_slow|mscale|mscale_all_dim)|^temperature|^(?:top|min|typical)_p|_penalty|_cutoff|guidance_scale)$/;

function format(value: unknown, key: string, indent: string): string {
  if (typeof value === "number") return formatNumber(value, key);
  if (typeof value === "string") return quoteAscii(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const list = Array.isArray(value);
  const parts = list
    ? value.map((item) => inner + format(item, key, inner))
    : sortedEntries(value).map(([name, item]) => `${inner}${quoteAscii(name)}: ${format(item, name, inner)}`);
  const [open, close] = list ? "[]" : "{}";
  return parts.length === 0 ? `${open}${close}` : `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

/** By code point; keys that are all whole numbers, as those of id2label, by value. */
function sortedEntries(value: object): [string, unknown][] {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.every(([key]) => /^\d+$/.test(key))) return entries.sort(([a], [b]) => Number(a) - Number(b));
  return entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function quoteAscii(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Python's repr: the shortest digits that read back as the same double, an exponent below 1e-4 and, for floats, from 1e16 on. */
function formatNumber(value: number, key: string): string {
  const float = floatField.test(key);
  if (!Number.isFinite(value)) throw new TesseraError("argument", `${key}: ${value} cannot be written as JSON`);
  if (Number.isInteger(value) && !float) return BigInt(value).toString();
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16))
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
