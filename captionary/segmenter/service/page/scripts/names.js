// Names of classes and nouns, as the service compares them.

/** What is compared of a name: case does not count, and hyphens and underscores are blanks. */
export const normalForm = (name) =>
  name.normalize("NFKC").toLowerCase().replace(/[\s_\p{Pd}]+/gu, " ").trim();

/** A pasted list with a name a line as one line, with commas between them; JSON as it is. */
export function joinLines(text) {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);
  if (/^\s*[[{]/.test(text)) return lines.join(" ");
  return lines.map((line) => line.replace(/,$/, "")).join(", ");
}
