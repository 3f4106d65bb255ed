import { Option, type Command } from 'commander';
import type { RouteInput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';
import { agentRoles, sessionModes, toolPolicies, vmModes } from '../../../protocol/settings/sessionChoices.ts';
import { amount, collect, wholeNumber } from '../../arguments.ts';

/** What `cwm session new` and `cwm session set` have in common. */
export interface SettingsOptions {
  readonly title?: string;
  readonly description?: string;
  readonly tag?: readonly string[];
  readonly systemPrompt?: string;
  readonly temperature?: number;
  readonly topP?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly seed?: number;
  readonly mode?: (typeof sessionModes)[number];
  readonly role?: (typeof agentRoles)[number];
  readonly tools?: (typeof toolPolicies)[number] | 'off';
  readonly allowTool?: readonly string[];
  readonly toolRounds?: number;
  readonly toolTimeout?: number;
  readonly memory?: 'on' | 'off';
  readonly memoryTokens?: number;
  readonly memoryPolicy?: string;
  readonly memoryMode?: (typeof vmModes)[number];
  readonly record?: 'on' | 'off';
}

export const withSettingsOptions = (command: Command): Command =>
  command
    .option('--title <title>', 'title of the session; by default the first words of its first message')
    .option('--description <text>', 'what the session is about')
    .option('--tag <tag>', 'a tag; may be given several times', collect)
    .option('--system-prompt <name>', 'system prompt of the session (see "cwm prompt list")')
    .option('--temperature <x>', '0 to 2; the default, 0, always takes the likeliest token', amount)
    .option('--top-p <x>', 'share of the probability to draw from, up to 1', amount)
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber(1))
    .option('--stop <text>', 'a text that ends an answer; may be given several times', collect)
    .option('--seed <n>', 'the same seed draws the same answer', wholeNumber(0))
    .addOption(
      new Option(
        '--tools <policy>',
        'which tool calls run without a question; "off", the default: it has no tools',
      ).choices([...toolPolicies, 'off']),
    )
    .option('--allow-tool <name>', 'a tool on the white list of --tools; may be given several times', collect)
    .option('--tool-rounds <n>', 'rounds that "--tools auto-loop" runs by itself, 1 to 20; default 5', wholeNumber(1))
    .option('--tool-timeout <s>', 'how long a tool may take, in seconds; default 30', wholeNumber(1))
    .addOption(
      new Option(
        '--memory <state>',
        'virtual memory: older messages leave the prompt before it is too long and can come back; "off" is the default',
      ).choices(['on', 'off']),
    )
    .option(
      '--memory-tokens <n>',
      "most tokens of a request with --memory; default: the model's limit",
      wholeNumber(512),
    )
    .option(
      '--memory-policy <name>',
      'with "--memory on": the policy that decides which pages leave first; default: kv-aware',
    )
    .addOption(
      new Option(
        '--memory-mode <mode>',
        'with "--memory on": "strict" has the model cite the pages that it answers from, "passive" gives it only a summary',
      ).choices(vmModes),
    )
    .addOption(
      new Option(
        '--record <state>',
        '"off": its KV is saved and loaded only when you ask for it; default: "on"',
      ).choices(['on', 'off']),
    )
    .addOption(new Option('--mode <mode>', 'whether answers are plans').choices(sessionModes))
    .addOption(new Option('--role <role>', 'whether tools may change things').choices(agentRoles));

type Settings = Pick<
  RouteInput<'updateSession'>,
  'title' | 'description' | 'tags' | 'systemPrompt' | 'sampling' | 'mode' | 'role' | 'tools' | 'memory' | 'recorded'
>;

/**
 * The options as a route takes them; empty when none was given.
 *
 * @param before the memory that the session has: what no option says of it stays.
 * @throws CwmError InvalidParameter.
 */
export function settingsInput(options: SettingsOptions, before?: MemorySettings): Settings {
  const { title, description, tag, systemPrompt, temperature, topP, maxTokens, stop, seed, mode, role } = options;
  const { memory, memoryTokens: maxL0Tokens, memoryPolicy: policy, memoryMode: vmMode } = options;
  const { tools, allowTool, toolRounds: rounds, toolTimeout: timeoutSeconds, record } = options;
  const ofMemory = defined({ maxL0Tokens, policy, vmMode });
  const setsMemory = memory === 'on' || (memory === undefined && Object.keys(ofMemory).length > 0);
  if (Object.keys(ofMemory).length > 0 && memory !== 'on' && !(setsMemory && before?.enableVm))
    throw new CwmError(
      'InvalidParameter',
      '"--memory-tokens", "--memory-policy" and "--memory-mode" need a session with virtual memory.',
      { hint: 'Give them together with "--memory on".' },
    );
  const limits = defined({ allowed: allowTool && [...allowTool], rounds, timeoutSeconds });
  const sampling = defined({ temperature, topP, maxTokens, stop: stop && [...stop], seed });
  return defined({
    title,
    description,
    tags: tag && [...tag],
    systemPrompt,
    sampling: Object.keys(sampling).length === 0 ? undefined : sampling,
    mode,
    role,
    tools: tools === 'off' ? null : tools && { policy: tools, ...limits },
    memory: memory === 'off' ? null : setsMemory ? { ...before, enableVm: true, ...ofMemory } : undefined,
    recorded: record && record === 'on',
  });
}

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
