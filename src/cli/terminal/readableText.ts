/** C0, DEL and C1, but for tabs and line ends of either kind. */
const controls = /\r(?!\n)|[\p{Cc}--[\t\n\r]]/gv;

/**
 * Makes text from elsewhere safe to print. A title, an answer or a path could otherwise overwrite its neighbours or send commands to
 * the terminal. Control characters become visible symbols; line ends and tabs stay.
 */
export const readableText = (text: string): string =>
  text.replace(controls, (control) => {
    const code = control.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '␡' : '�';
  });
