import type { RouteOutput } from '../../protocol/api.ts';
import { doctorWords, type FindingWords } from '../../words/doctor.ts';
import { engineParagraphs } from './engineParagraphs.ts';
import { markdownPage, markdownTable, plain } from '../../words/markdown.ts';

/** What the doctor found, as markdown. */
export function doctorReport(result: RouteOutput<'doctor'>): string {
  const { sentence, engine, findings, capabilities } = doctorWords(result);
  return markdownPage('Doctor', [
    sentence,
    ...engineParagraphs(engine),
    findingsTable('What', findings),
    ...(capabilities === null
      ? []
      : [
          '## What the model server can do',
          `${plain(capabilities.sentence)} It is tried again when the server, its version or its model changes.`,
          findingsTable('Capability', capabilities.findings),
        ]),
  ]);
}

function findingsTable(what: string, findings: readonly FindingWords[]): string {
  const hasRemedies = findings.some(({ remedy }) => remedy !== '');
  return markdownTable({
    head: [what, 'Result', 'Found', ...(hasRemedies ? ['What you can do'] : [])],
    rows: findings.map(({ name, mark, result, found, remedy }) => [
      name,
      // A no-break space: a narrow column must not separate a mark from its word.
      `${mark}\u{a0}${result}`,
      found,
      ...(hasRemedies ? [remedy] : []),
    ]),
  });
}
