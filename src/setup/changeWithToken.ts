import { CwmError } from '../protocol/errors.ts';
import type { ConfigChange } from './clientConfigs.ts';
import { beforeChange, changeFile, putBack, readConfigFile } from './configFile.ts';

/** Writes the change before it takes the token: what cannot be written costs no token. @returns the token. */
export async function writeWithToken(
  shown: ConfigChange,
  newToken: () => Promise<string>,
  withToken: (token: string) => ConfigChange | null,
): Promise<string> {
  const file = await readConfigFile(shown.file);
  const earlier = await beforeChange(file);
  const without = earlier === undefined ? undefined : undone(shown, file.text, earlier);
  await changeFile(file, applied(shown, file.bytes && file.text), without);
  const written = await readConfigFile(shown.file);
  try {
    const token = await newToken();
    await changeFile(written, applied(withToken(token) ?? shown, written.text));
    return token;
  } catch (error) {
    await (file.bytes ? changeFile(written, file.text) : putBack(written));
    throw error;
  }
}

/** @throws CwmError InvalidConfig. */
export function applied(change: ConfigChange, before: string | null): string {
  try {
    return change.apply(before);
  } catch (error) {
    throw notUnderstood(change, error);
  }
}

/** @throws CwmError InvalidConfig. */
export function undone(change: ConfigChange, now: string, before: string | null | undefined): string | null {
  try {
    return change.undo(now, before);
  } catch (error) {
    throw notUnderstood(change, error);
  }
}

const notUnderstood = ({ file }: ConfigChange, cause: unknown): CwmError =>
  new CwmError('InvalidConfig', `${file} is in a form that cannot be changed safely, so it stays as it is.`, {
    hint: `${cause instanceof Error ? cause.message : ''} Correct it, or change it by hand.`.trim(),
    cause,
  });
