// Colours for classes: the service's own, far apart also for eyes that do not tell red from green.

const COLOURS = (
  "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 5affff a51e5a a55aff 4bd296 8700c3 " +
  "4b692d ffb4d2 ff78ff 1e4bf0 d21ea5 2dff96 00c300 f01e69 c30f00 0096b4 e19687 788700 " +
  "0096ff 784b87 f0c387 69e11e 87d2ff a55a5a 8778d2 f04bd2 4bb4a5 87a54b ff5a5a ff87c3 " +
  "b42dd2 c3f0b4 5ae1d2 a5c35a 007869 a596ff 695ad2 ffa5ff a56996 ff4b96 d2873c 0078f0 " +
  "b40087 f0c300 87ff4b 00a500 0f874b 964b00 7896d2 a5e178 006987 d269ff c37869 965ab4 " +
  "d20f78 005ac3 f0002d 96692d"
).split(" ");

const GREY = "5c6068";

/** Whether a class is the rest of a picture, where nothing else fits. */
export const isRest = (name) => name.toLowerCase() === "background";

/** The colour of a class by its place in the list, as [red, green, blue]. */
export function colourOf(index, name) {
  const hex = isRest(name) ? GREY : COLOURS[index % COLOURS.length];
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
