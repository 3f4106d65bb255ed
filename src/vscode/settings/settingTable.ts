import type { LogLevel } from '../../protocol/log.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import { gpuChoices, kvTypes, type GpuChoice, type KvType } from '../../protocol/settings/embeddedFlags.ts';
import type { ContinueFrom, Isolation } from '../../protocol/settings/sessionChoices.ts';

const numberSetting = (row: { readonly default: number; readonly maximum: number }) => ({
  default: row.default,
  minimum: 0,
  maximum: row.maximum,
});

/** A setting's default, the range of a number, the values of a choice; package.json must say the same. */
export const settings = {
  'cwm.engine': { default: '' },
  'cwm.storageDirectory': { default: '' },
  'cwm.answer.maxTokens': { default: 256, minimum: 1, maximum: 32_768 },
  'cwm.continueFrom': { default: backendSettings.continueFrom.default, values: backendSettings.continueFrom.values },
  'cwm.isolation': { default: backendSettings.isolation.default, values: backendSettings.isolation.values },
  'cwm.gateway.healPrefix': { default: backendSettings.healPrefix.default, values: backendSettings.healPrefix.values },
  'cwm.gateway.pinSystemPrompt': {
    default: backendSettings.pinSystemPrompt.default,
    values: backendSettings.pinSystemPrompt.values,
  },
  'cwm.embedded.threads': { default: 0, minimum: 0, maximum: 512 },
  'cwm.embedded.contextTokens': { default: 0, minimum: 0, maximum: 16_777_216 },
  'cwm.embedded.gpu': { default: 'auto', values: gpuChoices },
  'cwm.embedded.gpuLayers': { default: -1, minimum: -1, maximum: 10_000 },
  'cwm.embedded.kvType': { default: 'f16', values: kvTypes },
  'cwm.embedded.chatTemplate': { default: '' },
  'cwm.memoryPolicyFile': { default: '' },
  'cwm.kvBudgetGb': numberSetting(backendSettings.kvBudgetGb),
  'cwm.storageQuotaGb': numberSetting(backendSettings.storageQuotaGb),
  'cwm.retentionDays': numberSetting(backendSettings.retentionDays),
  'cwm.checkpoints': { default: backendSettings.checkpoints.default, values: backendSettings.checkpoints.values },
  'cwm.switchWithBranch': { default: 'off', values: ['on', 'off'] },
  'cwm.requireTls': { default: backendSettings.requireTls.default, values: backendSettings.requireTls.values },
  'cwm.gateway.port': numberSetting(backendSettings.gatewayPort),
  'cwm.limits.changesPerMinute': numberSetting(backendSettings.rateLimit),
  'cwm.limits.gatewayRequestsPerMinute': numberSetting(backendSettings.gatewayRateLimit),
  'cwm.limits.operations': numberSetting(backendSettings.maxOperations),
  'cwm.logLevel': { default: backendSettings.logLevel.default, values: backendSettings.logLevel.values },
  'cwm.chatTools': { default: 'extension', values: ['extension', 'mcp', 'off'] },
} as const;

export interface SettingTypes {
  /** A URL, `embedded` or `embedded:FILE`; empty: the store's choice. */
  'cwm.engine': string;
  /** Empty: the directory that the command line uses too. */
  'cwm.storageDirectory': string;
  /** In tokens. */
  'cwm.answer.maxTokens': number;
  'cwm.continueFrom': ContinueFrom;
  'cwm.isolation': Isolation;
  'cwm.gateway.healPrefix': 'on' | 'off';
  'cwm.gateway.pinSystemPrompt': 'on' | 'off';
  /** 0: physical cores − 1. */
  'cwm.embedded.threads': number;
  /** 0: the model's own, at most 32,768. */
  'cwm.embedded.contextTokens': number;
  'cwm.embedded.gpu': GpuChoice;
  /** −1: as many as fit. */
  'cwm.embedded.gpuLayers': number;
  'cwm.embedded.kvType': KvType;
  /** A built-in name or a file; empty: the model's own. */
  'cwm.embedded.chatTemplate': string;
  /** A JavaScript module, which the backend runs; empty: none. */
  'cwm.memoryPolicyFile': string;
  /** Of the embedded engine's KV, in gigabytes; 0: no limit. */
  'cwm.kvBudgetGb': number;
  /** Of everything in the storage directory, in gigabytes; 0: no limit. */
  'cwm.storageQuotaGb': number;
  /** Of sessions that nobody uses, until they go to the trash; 0: for ever. */
  'cwm.retentionDays': number;
  'cwm.checkpoints': (typeof backendSettings.checkpoints.values)[number];
  /** Whether a session is remembered for each git branch, where the project's configuration does not say. */
  'cwm.switchWithBranch': 'on' | 'off';
  'cwm.requireTls': (typeof backendSettings.requireTls.values)[number];
  /** On loopback; 0: the system chooses. */
  'cwm.gateway.port': number;
  /** Of each agent; 0: no limit, here and below. */
  'cwm.limits.changesPerMinute': number;
  /** Of each client of the gateway: what is recorded of it. */
  'cwm.limits.gatewayRequestsPerMinute': number;
  /** At once. */
  'cwm.limits.operations': number;
  'cwm.logLevel': LogLevel;
  /** How the agents of VS Code's chat get the operations. */
  'cwm.chatTools': 'extension' | 'mcp' | 'off';
}
export type SettingId = keyof SettingTypes & keyof typeof settings;
