const lists = '(?:prompt_)?token_ids":(?:\\[[\\d,\\s]*\\]|null)';
const behindAnother = new RegExp(`,\\s*"${lists}`, 'g');
const first = new RegExp(`"${lists},?`, 'g');

/**
 * An event of vLLM's dialect without the token ids that only the gateway asked for. The rest stays as the server wrote it. The text of an
 * answer never matches, since its quotes are escaped.
 */
export const withoutIds = (raw: string): string =>
  raw.includes('token_ids":') ? raw.replaceAll(behindAnother, '').replaceAll(first, '') : raw;
