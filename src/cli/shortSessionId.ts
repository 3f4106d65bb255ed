import type { Command } from 'commander';
import { readableLine } from '../base/readableText.ts';
import { CwmError, isCwmError } from '../protocol/errors.ts';
import { allItems } from '../protocol/paging.ts';
import type { Run } from './run.ts';

/** What may be the beginning of an id that nobody chose, and is not a whole one. */
const beginning = /^(?=.{4,35}$)[0-9a-f]{1,8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?$/;
const chosenByNobody = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** More are only counted. */
const maxNamed = 10;

interface Place {
  readonly given: string;
  readonly put: (whole: string) => void;
}

/** Where a command line gives the id of a session that there is: the arguments and options whose value its help calls "session". */
export function sessionPlaces(command: Command): Place[] {
  const places = [
    ...command.registeredArguments.map((argument, at) => ({
      isSession: argument.name() === 'session',
      given: command.processedArgs[at] as unknown,
      put: (whole: string) => void (command.processedArgs[at] = whole),
    })),
    ...command.options.map((option) => ({
      isSession: option.flags.endsWith(' <session>'),
      given: command.getOptionValue(option.attributeName()) as unknown,
      put: (whole: string) => void command.setOptionValue(option.attributeName(), whole),
    })),
  ];
  return places.flatMap(({ isSession, given, put }) =>
    isSession && typeof given === 'string' && beginning.test(given) ? [{ given, put }] : [],
  );
}

/**
 * The id that begins so. An id that a person chose is a name and must be given whole: else the second "cwm session delete test" would delete
 * "test-2". What begins no id stays as it is, and the command says that there is no such session.
 *
 * @throws CwmError AmbiguousSession where several begin so.
 */
export async function wholeSessionId(run: Run, given: string): Promise<string> {
  try {
    await run.call('getSession', { session: given });
    return given;
  } catch (error) {
    if (!isCwmError(error, 'SessionNotFound')) return given;
  }
  const sessions = await allItems((page) => run.call('listSessions', { search: given, ...page }));
  const candidates = sessions
    .filter(({ id, lifecycle }) => id.startsWith(given) && chosenByNobody.test(id) && lifecycle !== 'deleted')
    .map(({ id, title }) => ({ id, title }));
  const [only, ...others] = candidates;
  if (others.length === 0) return only?.id ?? given;
  const named = candidates
    .slice(0, maxNamed)
    .map(({ id, title }) => (id === title ? id : `${id} (${readableLine(title)})`));
  const rest = candidates.length > maxNamed ? ` and ${candidates.length - maxNamed} more` : '';
  throw new CwmError(
    'AmbiguousSession',
    `The ids of ${candidates.length} sessions begin with "${given}": ${named.join(', ')}${rest}.`,
    {
      context: { candidates },
    },
  );
}
