// Makes docs/errors.md from the table of errors: `node scripts/errorsPage.ts` writes it, and a test fails while it is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'oxfmt';
import { errors, type ErrorName } from '../src/protocol/errors.ts';

export const errorsFile = path.join(import.meta.dirname, '../docs/errors.md');

const families: Readonly<Record<string, string>> = {
  1: 'Validation: the request or the setting is wrong',
  2: 'Not found',
  3: 'State: the operation does not fit what is there now',
  4: 'Storage',
  5: 'Connection to the model server or the backend',
  6: 'Time',
  7: 'Resources and limits',
  8: 'Security',
  9: 'Internal',
};

/** Numbers that never get another meaning: their former meaning, or why what they were planned for is no error. */
const reserved: Readonly<Record<string, string>> = {
  'CWM-1005': 'Until 0.1: an invalid state, now CWM-1103.',
  'CWM-2003': 'A missing KV block. It is no error: a thaw computes it again and says so.',
  'CWM-2010': 'Until 0.1: a missing recovery point, now CWM-2004.',
  'CWM-2011': 'Until 0.1: no valid recovery point, now CWM-2005.',
  'CWM-3105':
    'A tool call awaits approval. It is no error but a phase; a message in between is CWM-3001. Until 0.1: a failed synchronisation, now CWM-4102.',
  'CWM-3106': 'A tool call must be answered first: the same. Until 0.1: a failed recovery, now CWM-4101.',
  'CWM-5002':
    'A failed cache server. It is no error: LMCache only speeds up, so its failures are notes in the receipt.',
  'CWM-7001': 'Too little memory for a thaw. llama.cpp runs as a process of its own, so its failure is CWM-5004.',
  'CWM-8002': 'A broken isolation of caches. It is no error: the doctor and the receipt name it.',
  'CWM-9101': 'A failed tool. It is no error: the failure is the result of the call, and the model reads it.',
  'CWM-9102': 'A failed pipeline. Every step has an error of its own.',
};

/** The whole page, formatted. */
export async function errorsPage(): Promise<string> {
  const rows = (Object.keys(errors) as ErrorName[]).map((name) => ({ name, ...errors[name] }));
  const sections = Object.entries(families).map(([digit, title]) =>
    [
      `## ${digit}xxx ${title}`,
      '',
      '| code | name | HTTP status | retry | what to do |',
      '| --- | --- | --- | --- | --- |',
      ...rows
        .filter(({ code }) => code.startsWith(`CWM-${digit}`))
        .map(
          ({ code, name, status, retryable, hint }) =>
            `| ${code} | ${name} | ${status} | ${retryable ? 'yes' : 'no'} | ${hint} |`,
        ),
      '',
    ].join('\n'),
  );
  const page = [
    '# Errors',
    '',
    'Every failure has a stable code. The code stays the same when the sentence improves, so scripts compare codes. "Retry" says whether',
    'the same call may succeed later with nothing changed. `src/protocol/errors.ts` holds this table; `node scripts/errorsPage.ts` makes',
    'this page from it.',
    '',
    ...sections,
    '## Reserved',
    '',
    '| code | why it is not used |',
    '| --- | --- |',
    ...Object.entries(reserved).map(([code, why]) => `| ${code} | ${why} |`),
    '',
  ].join('\n');
  const { code } = await format('errors.md', page, { printWidth: 120, singleQuote: true });
  return code;
}

if (import.meta.main) {
  const page = await errorsPage();
  if (readFileSync(errorsFile, { encoding: 'utf8', flag: 'a+' }) !== page) writeFileSync(errorsFile, page);
}
