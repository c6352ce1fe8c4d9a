// Masks in COCO's compressed run-length encoding, asked and drawn without unpacking them.

/** Where each run ends, counted down the columns: zeros first, then ones, in turn. */
export function readRuns(counts) {
  const ends = [];
  const lengths = [];
  let total = 0;
  for (let at = 0; at < counts.length; ) {
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
    // From the fourth on, a run is told as its difference to the one before the last.
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
    total += value;
    ends.push(total);
  }
  return ends;
}

/** A mask, (height, width), as it came in an answer. */
export class RunMask {
  constructor({ size, counts }) {
    [this.height, this.width] = size;
    this.ends = readRuns(counts);
  }

  /** Whether a pixel belongs to it. */
  has(x, y) {
    return this.runOf(x * this.height + y) % 2 === 1;
  }

  /** The number of the run that a place lies in; odd ones are of the mask. */
  runOf(place) {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] > place) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Write a value where the mask is, into rows of (width, height): the mask at another size. */
  paint(rows, width, height, value) {
    for (let column = 0; column < width; column += 1) {
      const start = Math.floor(((column + 0.5) * this.width) / width) * this.height;
      let run = this.runOf(start);
      for (let row = 0; row < height; row += 1) {
        const place = start + Math.floor(((row + 0.5) * this.height) / height);
        while (this.ends[run] <= place) run += 1;
        if (run % 2 === 1) rows[row * width + column] = value;
      }
    }
  }
}
