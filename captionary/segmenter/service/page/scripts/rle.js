// Masks in COCO's compressed run-length encoding, read and drawn without decoding to pixels.

/** Where each run ends, counted down the columns: zeros first, then ones, in turn. */
export function decodeRunEnds(counts) {
  const ends = [];
  const lengths = [];
  let total = 0;
  for (let at = 0; at < counts.length; ) {
    // Groups of 5 bits, least first, each with a bit that says whether more follow.
    let value = 0;
    let shift = 0;
    let code;
    do {
      code = counts.charCodeAt(at) - 48;
      at += 1;
      value += (code & 31) * 2 ** shift;
      shift += 5;
    } while (code & 32);
    if (code & 16) value -= 2 ** shift;
    // From the fourth on, a run is written as its difference to the one before the last.
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
    total += value;
    ends.push(total);
  }
  return ends;
}

/** The pixels of a mask within a box, [left, top, right, bottom], as a mask in run lengths. */
export function maskWithin(mask, [left, top, right, bottom]) {
  const counts = [0];
  let inside = false;
  const add = (pixels, isInside) => {
    if (isInside !== inside) counts.push(0);
    inside = isInside;
    counts[counts.length - 1] += pixels;
  };
  const { height, width } = mask;
  add(left * height, false);
  for (let x = left; x < right; x += 1) {
    add(top, false);
    for (let y = top; y < bottom; y += 1) add(1, mask.has(x, y));
    add(height - bottom, false);
  }
  add((width - right) * height, false);
  return { size: [height, width], counts };
}

/** A mask, (height, width), as it came in a response. */
export class RleMask {
  constructor({ size, counts }) {
    [this.height, this.width] = size;
    this.ends = decodeRunEnds(counts);
  }

  /** Whether a pixel belongs to it. */
  has(x, y) {
    return this.runAt(x * this.height + y) % 2 === 1;
  }

  /** The number of the run that a position lies in (binary search); odd ones are of the mask. */
  runAt(position) {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Write a value where the mask is, into rows of (width, height): the mask at another size. */
  paint(rows, width, height, value) {
    for (let column = 0; column < width; column += 1) {
      const start = Math.floor(((column + 0.5) * this.width) / width) * this.height;
      let run = this.runAt(start);
      for (let row = 0; row < height; row += 1) {
        const position = start + Math.floor(((row + 0.5) * this.height) / height);
        while (this.ends[run] <= position) run += 1;
        if (run % 2 === 1) rows[row * width + column] = value;
      }
    }
  }
}
