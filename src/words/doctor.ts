import { ofWord } from '../protocol/schemas/otherWord.ts';
import { formatTokens } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { Capabilities, Capability } from '../protocol/schemas/capabilities.ts';
import { capabilityTitles } from './capabilityTitles.ts';
import type { Finding } from '../protocol/schemas/health.ts';
import { plural } from './amounts.ts';
import { engineWords, type EngineWords } from './health.ts';

/** One thing that was looked at. */
export interface FindingWords {
  readonly name: string;
  /** A sign for the result; `result` says the same in a word. */
  readonly mark: string;
  readonly result: string;
  readonly found: string;
  /** What the user can change; empty when there is nothing to do. */
  readonly remedy: string;
}

export interface DoctorWords {
  /** Whether everything works, in one sentence. */
  readonly sentence: string;
  readonly engine: EngineWords;
  readonly findings: readonly FindingWords[];
  /** Null when no model server could be tried. */
  readonly capabilities: { readonly sentence: string; readonly findings: readonly FindingWords[] } | null;
}

const findingMarks: Readonly<Record<Finding['state'], string>> = { ok: '✓', warning: '!', failed: '✗', unknown: '?' };
const answerMarks: Readonly<Record<Capability['state'], string>> = { yes: '✓', no: '✗', unknown: '?' };

export function doctorWords({ engine, findings, capabilities }: RouteOutput<'doctor'>): DoctorWords {
  return {
    sentence: resultSentence(findings, capabilities),
    engine: engineWords(engine),
    findings: findings.map(({ name, state, detail, remedy }) => ({
      name,
      mark: findingMarks[state],
      result: state,
      found: detail,
      remedy,
    })),
    capabilities: capabilities === null ? null : capabilityWords(capabilities, engine.spec),
  };
}

function resultSentence(findings: readonly Finding[], capabilities: Capabilities | null): string {
  const count = (state: Finding['state']): number => findings.filter((finding) => finding.state === state).length;
  const lacking = capabilities?.items.filter(({ state, remedy }) => state === 'no' && remedy !== '').length ?? 0;
  const [failed, improvable] = [count('failed'), count('warning') + lacking];
  if (failed > 0) return `${plural(failed, 'thing does', 'things do')} not work.`;
  return improvable > 0 ? `It works; ${plural(improvable, 'thing')} could be better.` : 'Everything works.';
}

const capabilityWords = ({ items, cost }: Capabilities, spec: string): DoctorWords['capabilities'] => ({
  sentence: `What ${spec} can do, tried with ${plural(cost.requests, 'tiny request')} of ${formatTokens(cost.promptTokens)} in all:`,
  findings: items.map(({ name, state, found, remedy }) => ({
    name: ofWord(capabilityTitles, name) ?? name,
    mark: ofWord(answerMarks, state) ?? answerMarks.unknown,
    result: state,
    found,
    remedy,
  })),
});
