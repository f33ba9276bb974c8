/**
 * How a value from a file appears in a one-line message: as JSON, control characters escaped, cut after `limit` characters.
 *
 * @param limit longest text that is not cut; default 80
 */
export function quote(value: unknown, limit = 80): string {
  const source = typeof value === "string" && value.length > limit ? value.slice(0, limit) : value;
  const text = (JSON.stringify(source) ?? String(value)).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return source === value && text.length <= limit + 2 ? text : `${text.slice(0, limit)}…`;
}
