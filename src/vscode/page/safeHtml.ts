/** What rendered markdown may have; everything else leaves only its text. No element here loads or runs anything. */
const allowed: ReadonlySet<string> = new Set(
  'P,H1,H2,H3,H4,H5,H6,UL,OL,LI,PRE,CODE,BLOCKQUOTE,STRONG,EM,S,DEL,TABLE,THEAD,TBODY,TR,TH,TD,HR,BR,SPAN,A,SUP,SUB'.split(
    ',',
  ),
);

/** Headings of a message stand below the heading that names its speaker. */
const headings: Readonly<Record<string, string>> = { H1: 'h3', H2: 'h4', H3: 'h5', H4: 'h6', H5: 'h6', H6: 'h6' };

/** Builds the elements of rendered markdown one by one: text is inserted as text, and of attributes only links and colours of code stay. */
export function safeHtml(html: string, lessThan: string): DocumentFragment {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  const fragment = document.createDocumentFragment();
  const text = (value: string): string => value.replaceAll(lessThan, '<');
  const copy = (from: Node, to: Node): void => {
    for (const node of from.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) to.appendChild(document.createTextNode(text(node.nodeValue ?? '')));
      else if (node instanceof Element) copyElement(node, to);
    }
  };
  const copyElement = (element: Element, to: Node): void => {
    const formula = element.matches('.katex, .katex-block') ? element.querySelector('annotation') : null;
    if (formula) return void to.appendChild(code(text(formula.textContent ?? '')));
    if (element.tagName === 'IMG') return void to.appendChild(picture(element, text));
    if (!allowed.has(element.tagName)) return copy(element, to);
    const made = document.createElement(headings[element.tagName] ?? element.tagName.toLowerCase());
    const colour = /^hljs[\w-]*$/.exec(element.classList.item(0) ?? '')?.[0];
    if (colour !== undefined) made.className = colour;
    if (made instanceof HTMLAnchorElement) link(made, text(element.getAttribute('href') ?? ''));
    copy(element, made);
    to.appendChild(made);
  };
  copy(parsed.body, fragment);
  return fragment;
}

/** VS Code asks before it opens one. */
function link(made: HTMLAnchorElement, address: string): void {
  if (!/^https?:\/\//i.test(address)) return;
  made.href = address;
  made.title = address;
}

function code(value: string): HTMLElement {
  const made = document.createElement('code');
  made.textContent = value;
  return made;
}

/** A picture of a text would be fetched from somewhere, which tells who reads: its description and address are shown instead. */
function picture(element: Element, text: (value: string) => string): Node {
  const said = [
    element.getAttribute('alt') ?? '',
    element.getAttribute('src') ?? element.getAttribute('data-src') ?? '',
  ];
  return document.createTextNode(text(`[Picture: ${said.filter((part) => part !== '').join(' ')}]`));
}
