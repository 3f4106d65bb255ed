import { logFormats, logLevels } from '../../../protocol/log.ts';
import type { BackendSettingName } from '../../../protocol/settings/backendSettings.ts';

/** Settings that are no options of `cwm serve` of their own. */
type Other = 'engine' | 'encryption' | 'encryptionKeyFile';

/** How `cwm serve` and docs/settings.md describe the settings of a backend. VS Code has its own descriptions, in package.json. */
export const serveHelp: Readonly<Record<Exclude<BackendSettingName, Other>, string>> = {
  idleMinutes: 'end after this long without a client; 0 is never',
  logLevel: `the least urgent lines that the log has: ${logLevels.join(', ')}`,
  logFormat: `how the log is written: ${logFormats.join(' or ')}`,
  rateLimit: 'changes that each agent (MCP, HTTP) may ask for in a minute; 0 is no limit',
  gatewayRateLimit: 'requests of each client of the gateway that are recorded in a minute; others pass; 0 is no limit',
  maxOperations: 'operations that run at once; 0 is no limit',
  continueFrom:
    'what the next prompt begins with: the token ids that the model server saw last, or the conversation rendered again: ids or template',
  isolation:
    'which conversations of the gateway share KV: those of a project, none (conversation), or all (off): project, conversation or off',
  healPrefix:
    'whether the gateway sends what a client says again in the spelling that the model server saw first: on or off',
  pinSystemPrompt:
    'whether the gateway sends the first system prompt of a conversation with all its requests: on or off',
  memoryPolicyFile:
    "JavaScript module with eviction policies that sessions can name; it runs in the backend, with the backend's rights",
  embeddingsServer:
    "model server whose embeddings help to find what left a prompt (URL or URL#model=NAME); the default is each session's own server, where it serves them; off is none",
  kvBudgetGb:
    'gigabytes for KV; the default counts the embedded model server alone, any other number all servers whose files are reached; 0 is no limit',
  storageQuotaGb: 'gigabytes for the whole storage; 0 is no limit',
  retentionDays: 'days without use after which a session goes to the trash with its windows; 0 is never',
  checkpoints: 'whether sessions get checkpoints without being asked for: on or off',
  checkpointAt:
    "a checkpoint is made when a session takes this much of the model's context, in percent; 0 is after every turn",
  checkpointTokens: 'a checkpoint is made when a session has this many tokens; 0 is off',
  checkpointCooldownSeconds: 'seconds between two checkpoints that the size of a session triggers',
  checkpointIdleMinutes: 'a checkpoint is made when a session has been idle for this long; 0 is never',
  checkpointName: 'how receipts and "cwm session show" call a checkpoint',
  checkpointTags: 'tags of checkpoints, which "auto_freeze_check" tells',
  requireTls: 'whether a model server on another machine must have an https URL: on or off',
  http: 'answer the API on TCP too, on loopback unless --http-remote is on: [HOST:]PORT',
  httpRemote: 'whether --http may name an address that other machines can reach: on or off',
  httpTokenFile:
    'file with the token that clients of --http must send; it is made where there is none (default: http-token in the storage directory)',
  gatewayPort: 'port on loopback where the gateway listens once a client is set up; 0 lets the system choose',
  stateFolder: 'synchronise the states of selected sessions with this folder, merging changes',
  stateSyncSeconds: 'seconds between synchronisations; 0 is never',
  stateAutoCreate: 'whether selecting a session that does not exist creates it: on or off',
  stateDefaultSession: 'the session that is selected while nobody has selected one',
};
