import { CwmError } from '../errors.ts';

/** What an HTTP header can carry as one word. */
const plainKey = /^[\x21-\x7e]+$/;

/**
 * The API key of a model server as it is sent: without the white space and the line end around it, which copying brings along. Undefined where
 * there is none.
 *
 * @throws CwmError InvalidParameter for a key that no server can have given out; the message does not hold the key.
 */
export function parseEngineKey(given: string | undefined): string | undefined {
  const key = given?.replace(/^\uFEFF/, '').trim();
  if (key === undefined || key === '') return undefined;
  if (plainKey.test(key)) return key;
  throw new CwmError('InvalidParameter', `The API key of the model server holds ${faultOf(key)}, which no key has.`, {
    hint: 'Copy the key once more, without quotes around it, and set it again (CWM_API_KEY, or "Set API Key").',
    context: { parameter: 'CWM_API_KEY' },
  });
}

function faultOf(key: string): string {
  if (/\p{Quotation_Mark}/u.test(key)) return 'typographic quotes';
  if (/[\r\n]/.test(key)) return 'a line end';
  return /\s/.test(key) ? 'white space' : 'characters outside of ASCII';
}
