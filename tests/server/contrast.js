// Texts of the page whose contrast with the ground they stand on is below 4.5 (WCAG AA). Run by test_page.py.
() => {
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const paint = (colors) => { pen.clearRect(0, 0, 1, 1); for (const c of colors) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => { const [r, g, b] = rgb.map((x) => x / 255).map((x) => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, template, svg, .hidden, .skip")) continue;
    const grounds = [];
    for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
    const back = paint(grounds), text = paint([...grounds, getComputedStyle(element).color]);
    const [a, b] = [light(back), light(text)].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) poor.push(`${walker.currentNode.data.trim()}: ${((a + .05) / (b + .05)).toFixed(2)}`);
  }
  return poor;
}
