// Where each space stands on the map: blocks packed in rows, as large as the canvas allows.

const MARGIN = 2; // metres of street around a block

function blocksOf(spaces) {
  const blocks = new Map();
  spaces.forEach((space, index) => {
    const block = blocks.get(space.block) ?? { spaces: [], width: 0, height: 0 };
    block.spaces.push(index);
    block.width = Math.max(block.width, space.origin[0] + space.width);
    block.height = Math.max(block.height, space.origin[1] + space.depth);
    blocks.set(space.block, block);
  });
  return [...blocks.values()].sort((a, b) => b.height - a.height);
}

function shelves(blocks, rowWidth) {
  const placed = [];
  let x = MARGIN, y = MARGIN, rowHeight = 0, width = 0;
  for (const block of blocks) {
    if (x > MARGIN && x + block.width + MARGIN > rowWidth) {
      x = MARGIN;
      y += rowHeight + MARGIN;
      rowHeight = 0;
    }
    placed.push({ block, x, y });
    x += block.width + MARGIN;
    width = Math.max(width, x);
    rowHeight = Math.max(rowHeight, block.height);
  }
  return { placed, width, height: y + rowHeight + MARGIN };
}

/** The packing that fills `width` x `height` pixels best: {scale, width, height, origins}. */
export function arrange(spaces, width, height) {
  const blocks = blocksOf(spaces);
  const widest = Math.max(...blocks.map((block) => block.width)) + 2 * MARGIN;
  let best = null;
  for (let rowWidth = widest; rowWidth < widest * 12; rowWidth *= 1.03) {
    const packed = shelves(blocks, rowWidth);
    const scale = Math.min(width / packed.width, height / packed.height);
    if (!best || scale > best.scale) best = { ...packed, scale };
  }
  const origins = [];
  for (const { block, x, y } of best.placed) {
    for (const index of block.spaces) {
      const [dx, dy] = spaces[index].origin;
      origins[index] = [x + dx, y + dy];
    }
  }
  return { scale: best.scale, width: best.width, height: best.height, origins };
}
