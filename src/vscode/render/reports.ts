import type { RouteOutput } from '../../protocol/api.ts';
import type { EngineStatus, Finding, VerifyStep } from '../../protocol/schemas/health.ts';
import { capabilityTitles, type Capabilities, type Capability } from '../../protocol/schemas/capabilities.ts';
import type { State } from '../state.ts';
import { formatCount, formatDuration, formatTokens } from '../../base/format.ts';
import { markdownTable, plain } from './markdown.ts';
import { problemText } from './problem.ts';

// No-break spaces: a narrow column must not part a mark from its word.
const findingStates: Readonly<Record<Finding['state'], string>> = {
  ok: '✓\u{a0}ok',
  warning: '⚠\u{a0}warning',
  failed: '✗\u{a0}failed',
  unknown: '?\u{a0}unknown',
};

const capabilityStates: Readonly<Record<Capability['state'], string>> = {
  yes: '✓\u{a0}yes',
  no: '✗\u{a0}no',
  unknown: '?\u{a0}not\u{a0}known',
};

/** What `cwm doctor` found, as markdown. */
export function doctorReport({ engine, findings, capabilities }: RouteOutput<'doctor'>): string {
  const hasRemedies = findings.some(({ remedy }) => remedy !== '');
  const rows = findings.map(({ name, state, detail, remedy }) => [
    plain(name),
    findingStates[state],
    plain(detail),
    ...(hasRemedies ? [plain(remedy)] : []),
  ]);
  const head = ['What', 'State', 'Found', ...(hasRemedies ? ['What you can do'] : [])];
  return document([
    '# Doctor',
    engineSentence(engine),
    markdownTable(head, rows),
    ...(capabilities === null ? [] : capabilityParagraphs(capabilities)),
  ]);
}

const capabilityParagraphs = ({ items, cost }: Capabilities): string[] => [
  '## What the engine can do',
  `Found by trying it, with ${formatCount(cost.requests)} tiny requests of ${formatTokens(cost.promptTokens)} in all. It is tried again when the server, its model or its version is another one.`,
  markdownTable(
    ['Capability', 'Here', 'Found', 'What you can change'],
    items.map(({ name, state, found, remedy }) => [
      capabilityTitles[name],
      capabilityStates[state],
      plain(found),
      plain(remedy),
    ]),
  ),
];

/** What a verification looked at and found, as markdown. */
export function verifyReport({ steps, healthy, repairs }: RouteOutput<'verify'>, window: string | null): string {
  const problems = steps.flatMap(({ step, problems }) =>
    problems.map((problem) => `- ${plain(step)}: ${plain(problem)}`),
  );
  return document([
    window === null ? '# Verification of everything' : `# Verification of window ${plain(window)}`,
    healthy ? 'Everything that was checked is as it was written.' : 'Some of what was checked is damaged or missing.',
    markdownTable(
      ['Step', 'Checked', 'Problems'],
      steps.map((step: VerifyStep) => [plain(step.step), formatCount(step.checked), formatCount(step.problems.length)]),
    ),
    ...(problems.length === 0 ? [] : ['## Problems', problems.join('\n')]),
    ...(repairs.length === 0 ? [] : ['## Repaired', repairs.map((repair) => `- ${plain(repair)}`).join('\n')]),
  ]);
}

/** What the backend says of itself and its store. */
export interface AboutBackend {
  readonly health: RouteOutput<'health'>;
  readonly encryption: RouteOutput<'encryption'>;
}

/** Backend, engine and active session in plain words. `backend` is null when it cannot be reached. */
export function statusReport(state: State, backend: AboutBackend | null): string {
  return document([
    '# Status',
    ...activeParagraphs(state),
    '## Backend',
    ...(backend === null ? [connectionSentence(state)] : backendParagraphs(backend)),
    ...(backend === null ? [] : ['## Engines', ...enginesParagraphs(backend.health.engines)]),
  ]);
}

function activeParagraphs({ active, project, receipts }: State): string[] {
  const folder = project.kind === 'none' ? 'No folder is open.' : `Folder: ${plain(project.name)}.`;
  if (active.kind !== 'session') return [`${folder} No session is active.`];
  const { session } = active;
  const limit = session.model?.maxModelLen ?? null;
  const used = session.tokens?.count ?? 0;
  const receipt = receipts.get(session.id);
  return [
    `${folder} Active session: **${plain(session.title)}** (\`${session.id}\`), ${session.lifecycle}, phase ${session.phase}.`,
    limit === null
      ? `The context holds ${formatTokens(used)}.`
      : `The context holds ${formatTokens(used)} of ${formatCount(limit)} (${Math.round((used / limit) * 100)} %).`,
    ...(session.frozenAs === null ? [] : [`It is frozen as window **${plain(session.frozenAs)}**.`]),
    ...(session.thawedFrom === null
      ? []
      : [`It was thawed from window **${plain(session.thawedFrom.window)}**: ${plain(session.thawedFrom.verdict)}.`]),
    ...(receipt === undefined ? [] : [`Last receipt: ${plain(receipt.summary)}`]),
    ...(session.prefixBreaks === 0
      ? []
      : [
          `${formatCount(session.prefixBreaks)} prompts left the prefix of the one before, so that KV could not be reused.`,
        ]),
  ];
}

function connectionSentence({ connection }: State): string {
  if (connection.kind !== 'failed')
    return 'The backend is not running. It starts with the first command that needs it.';
  return `The backend cannot be reached. ${plain(problemText(connection.error))}`;
}

const backendParagraphs = ({ health, encryption }: AboutBackend): string[] => [
  `${sentenceStart(health.status)}: version ${plain(health.version)}, process ${health.pid}, running for ${formatDuration(health.uptimeSeconds * 1000)}.`,
  `It keeps ${formatCount(health.sessions)} sessions and ${formatCount(health.windows)} windows in \`${health.storage}\`.`,
  ...(encryption.state === 'off'
    ? []
    : [`Storage: encrypted with key \`${encryption.keyId}\`, which lies in \`${encryption.keyFile}\`.`]),
];

const enginesParagraphs = (engines: readonly EngineStatus[]): string[] =>
  engines.length === 0
    ? ['No engine was needed yet.']
    : engines.flatMap((engine) => [engineSentence(engine), ...notices(engine)]);

function engineSentence(engine: EngineStatus): string {
  const name = `**${plain(engine.spec)}**`;
  if (!engine.reachable) {
    const { problem } = engine;
    return problem === null
      ? `${name} is not running; it starts when it is needed.`
      : `${name} cannot be used. ${plain(problemText(problem))}`;
  }
  const facts = [
    [engine.kind, engine.version].filter((part) => part !== null).join(' '),
    engine.model === null ? '' : `model ${engine.model}`,
    engine.maxModelLen === null ? '' : `context of ${formatTokens(engine.maxModelLen)}`,
    engine.blockTokens === null ? '' : `KV blocks of ${formatTokens(engine.blockTokens)}`,
    engine.pid === null ? '' : `process ${engine.pid}`,
    engine.url ?? '',
  ].filter((fact) => fact !== '');
  return `${name} answers: ${facts.map(plain).join(', ')}.`;
}

const sentenceStart = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

const notices = ({ notices }: EngineStatus): string[] =>
  notices.length === 0 ? [] : [notices.map((notice) => `- ${plain(notice)}`).join('\n')];

const document = (paragraphs: readonly string[]): string => `${paragraphs.join('\n\n')}\n`;
