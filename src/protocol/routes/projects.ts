import * as z from 'zod/mini';
import { growing } from '../schemas/growing.ts';
import { checkpointReasons } from '../schemas/checkpoint.ts';
import { sessionSchema } from '../schemas/session.ts';
import { receiptSchema } from '../schemas/receipt.ts';
import { warmingSchema } from '../schemas/warming.ts';
import {
  baseChangesSchema,
  projectBaseSchema,
  projectCandidateSchema,
  projectResolutionSchema,
} from '../schemas/projectConfig.ts';
import { flag, onEngine, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const projectRoutes = {
  currentSession: { kind: 'read', method: 'GET', path: '/api/projects/active' },
  setCurrentSession: { kind: 'change', method: 'POST', path: '/api/projects/active' },
  /** Brings the KV of the folder's current session back in the background, where that is worth it. */
  openProject: { kind: 'change', clients: 'own', method: 'POST', path: '/api/projects/open' },
  /** What came of the last opening. */
  openedProject: { kind: 'read', method: 'GET', path: '/api/projects/open' },
  /** A client leaves the folder: its current session gets a checkpoint if it has gone on. */
  closeProject: { kind: 'change', method: 'POST', path: '/api/projects/close' },
  /** The policy of checkpoints that nobody asks for, after the changes that are given. */
  autoFreezeConfig: { kind: 'change', method: 'POST', path: '/api/checkpoints/policy' },
  autoFreezePolicy: { kind: 'read', method: 'GET', path: '/api/checkpoints' },
  autoFreezeCheck: { kind: 'read', method: 'GET', path: '/api/checkpoints/:session' },
  /** Whether the folder's `.cwm/config.json` may choose model server, model and tools, and the MCP servers of its `.vscode/mcp.json` may be started. */
  trustProject: { kind: 'change', clients: 'own', method: 'POST', path: '/api/projects/trust' },
  /** Whether checkpoints of the project's sessions are made, and KV is brought back, without being asked for. It lasts. */
  recordProject: { kind: 'change', clients: 'own', method: 'POST', path: '/api/projects/record' },
  /** Which project a folder belongs to, and how that was found. */
  findProject: { kind: 'read', clients: 'own', method: 'GET', path: '/api/projects/find' },
  /** Every project that the store knows. */
  listProjects: { kind: 'read', clients: 'own', method: 'GET', path: '/api/projects' },
  /** A person says that the project `from` is this one: its sessions belong here from then on. */
  adoptProject: { kind: 'change', clients: 'own', method: 'POST', path: '/api/projects/adopt' },
  /** The fixed beginning of the project's new sessions, and what changed on the disk since it was made. */
  projectBase: { kind: 'read', clients: 'own', method: 'GET', path: '/api/projects/base' },
  /** Makes it, or renews it from the first difference on. */
  makeProjectBase: {
    kind: 'change',
    streams: true,
    creates: true,
    clients: 'own',
    audited: 'WINDOW_FREEZE',
    method: 'POST',
    path: '/api/projects/base',
  },
  /** New sessions have none any more; those that began with it stay. */
  deleteProjectBase: { kind: 'change', clients: 'own', method: 'DELETE', path: '/api/projects/base' },
  /** Where the caller works from now on, and which project that is. It changes memory only, and a hundred clients may say so at once. */
  setWorkingDirectory: {
    kind: 'change',
    clients: 'socket',
    unlimited: true,
    allowedReadOnly: true,
    method: 'POST',
    path: '/api/clients/directory',
  },
  /** Where the caller works; null before it said so. */
  workingDirectory: { kind: 'read', method: 'GET', path: '/api/clients/directory' },
  /** Where every client works. */
  listClients: { kind: 'read', clients: 'own', method: 'GET', path: '/api/clients' },
} as const satisfies Record<string, Route>;

const opened = () =>
  z.object({
    project: z.string(),
    /** How the project was found. An older backend leaves it out. */
    resolution: z.optional(projectResolutionSchema),
    session: z.nullable(sessionSchema),
    /** Null without a session. */
    warming: z.nullable(warmingSchema),
    /** For the user, where something that was asked for has no effect. */
    note: z.optional(z.string()),
  });

const policy = () => ({
  enabled: z.boolean(),
  /** Share of the model's context limit, above 0 and up to 1. */
  tokenThreshold: z.number(),
  /** 0 is off. */
  tokenCountThreshold: z.number(),
  cooldownSeconds: z.number(),
  /** 0 is never. */
  idleMinutes: z.number(),
  /** How receipts call a checkpoint: text with `{session_id}`, `{timestamp}` or `{count}`. Earlier backends leave it out. */
  namePattern: z.optional(text),
  /** Of checkpoints, at most 10. Earlier backends leave them out. */
  tags: z.optional(z.array(text)),
});

const place = () =>
  z.object({
    client: z.string(),
    /** As it was given. */
    workingDirectory: z.string(),
    configFound: z.boolean(),
    configPath: z.nullable(z.string()),
    resolution: projectResolutionSchema,
    /** The one that the client used last; before it used any, the current one of the project. */
    currentSession: z.nullable(z.string()),
    /** The window that it was opened from or saved as, last. */
    currentWindow: z.nullable(z.string()),
    /** In the order of their opening. */
    openSessions: z.array(z.object({ session: z.string(), lastAccess: z.string() })),
    setAt: z.string(),
    lastUsed: z.string(),
  });

export const projectShapes = () =>
  ({
    openProject: {
      summary: "Bring the KV of a project's current session back in the background, where that is worth it",
      input: z.object({
        project: text,
        /** The project that the client leaves for this one. */
        leaving: z.optional(text),
        /** False: nothing of the project is saved or loaded without being asked, until a client opens it with true. Default: as the last client said, else true. */
        record: flag,
        /** Bring the KV back whatever it costs. */
        insist: flag,
        /** The git branch of the folder. Where a session is remembered for each, that of this branch becomes the current one. */
        gitBranch: z.optional(text),
        /** Whether one is remembered for each, where `branches` of the configuration does not say. Default: no. */
        eachBranch: flag,
      }),
      output: opened(),
    },
    openedProject: {
      summary: 'What came of the last opening of a project',
      input: z.object({ project: text }),
      output: opened(),
    },
    closeProject: {
      summary: 'Leave a project: its current session gets a checkpoint if it has gone on',
      input: z.object({ project: text }),
      output: z.object({
        project: z.string(),
        session: z.nullable(z.string()),
        receipt: z.nullable(receiptSchema),
        /** Why no checkpoint was made; null when one was. */
        why: z.nullable(z.string()),
      }),
    },
    autoFreezeConfig: {
      summary: 'The policy of checkpoints that nobody asks for, after the changes that are given',
      input: z.partial(z.object(policy())),
      output: z.object(policy()),
    },
    autoFreezePolicy: {
      summary: 'The policy of checkpoints that nobody asks for',
      input: z.object({}),
      output: z.object(policy()),
    },
    autoFreezeCheck: {
      summary: "Whether a session's size triggers a checkpoint now",
      input: z.object({ session: text }),
      output: z.object({
        session: z.string(),
        triggered: z.boolean(),
        reason: growing(checkpointReasons),
        /** Whether it has gone on since its checkpoint. */
        isChanged: z.boolean(),
        tokens: z.number(),
        /** The model's context length; null when it is not known. */
        limitTokens: z.nullable(z.number()),
        /** Of the limit that the session takes; null without one. */
        thresholdPercent: z.nullable(z.number()),
        /** Of its checkpoint: what that cost. Null: it has none. Earlier backends leave it out. */
        last: z.optional(z.nullable(receiptSchema)),
        /** Of its checkpoint. Earlier backends leave them out. */
        lastTags: z.optional(z.array(text)),
      }),
    },
    currentSession: {
      summary: 'The current session of a project',
      input: z.object({ project: text }),
      output: z.object({
        session: z.nullable(sessionSchema),
        /** Whether anything of the project is saved without being asked for. An older backend leaves it out. */
        recorded: z.optional(z.boolean()),
      }),
    },
    setCurrentSession: {
      summary: 'Set the current session of a project',
      input: z.object({ project: text, session: z.nullable(text) }),
      output: z.object({ session: z.nullable(sessionSchema) }),
    },
    findProject: {
      summary: 'Which project a folder belongs to, and how that was found',
      /** `folder`: absolute path, or URI. */
      input: z.object({ folder: text }),
      output: z.extend(projectResolutionSchema, {
        trusted: z.boolean(),
        /** False: nothing of it is saved without being asked for. An older backend leaves it out. */
        recorded: z.optional(z.boolean()),
        sessions: z.number(),
        /** Where it has no session: projects in other folders that may be this one. A person decides. */
        candidates: z.array(projectCandidateSchema),
      }),
    },
    listProjects: {
      summary: 'Every project that the store knows',
      input: z.object({}),
      output: z.object({
        items: z.array(
          z.object({
            project: z.string(),
            name: z.string(),
            id: z.nullable(z.string()),
            sessions: z.number(),
            isGone: z.boolean(),
            currentSession: z.nullable(z.string()),
            /** False: nothing of it is saved without being asked for. An older backend leaves it out. */
            recorded: z.optional(z.boolean()),
          }),
        ),
        /** How many sessions belong to no project. An older backend leaves it out. */
        withoutProject: z.optional(z.number()),
      }),
    },
    adoptProject: {
      summary: 'Say that a project is another one, in a folder that was moved or beside it',
      input: z.object({ project: text, from: text }),
      /** `memories`: texts that are remembered for the project and came along. An older backend leaves it out. */
      output: z.object({ project: text, from: text, sessions: z.number(), memories: z.optional(z.number()) }),
    },
    projectBase: {
      summary: "The fixed beginning of a project's new sessions, and what changed since it was made",
      input: z.object({ project: text }),
      output: z.object({
        project: text,
        base: z.nullable(projectBaseSchema),
        /** Null without a base, and where the files cannot be read. */
        changes: z.nullable(baseChangesSchema),
        /** How many sessions began with it. */
        sessions: z.number(),
      }),
    },
    makeProjectBase: {
      summary: "Make a project's base, or renew it from the first difference on",
      input: z.object({
        project: text,
        /** Files and folders, relative to the project's folder. Default: as before, else `prime` of the configuration. */
        paths: z.optional(z.array(text)),
        /** Whether the user's and the project's memories stand at its end. Default: as before, else no. */
        memories: flag,
        ...onEngine,
        /** Of the files together. Default: `budget.base_tokens` of the configuration, else what the model's context leaves. */
        maxTokens: z.optional(z.number()),
      }),
      output: z.object({
        project: text,
        base: projectBaseSchema,
        receipt: receiptSchema,
        skipped: z.array(z.object({ path: text, why: text })),
        promptTokens: z.number(),
        cachedTokens: z.nullable(z.number()),
        timeToFirstTokenMs: z.nullable(z.number()),
        notes: z.array(text),
      }),
    },
    deleteProjectBase: {
      summary: 'New sessions of the project begin empty again',
      input: z.object({ project: text }),
      output: z.object({ project: text, window: text }),
    },
    setWorkingDirectory: {
      summary: 'Say where the caller works; the answer says which project that is',
      input: z.object({
        /** Absolute path, or URI, of a folder. */
        directory: text,
        /** The project by its URI, whatever the folder says. */
        project: z.optional(text),
      }),
      output: z.extend(place(), { autoSwitch: z.boolean(), strictMode: z.boolean(), dryRun: z.boolean() }),
    },
    workingDirectory: {
      summary: 'Where the caller works, and what it has open there',
      input: z.object({}),
      output: z.object({ context: z.nullable(place()) }),
    },
    listClients: {
      summary: 'Where every client works',
      input: z.object({}),
      output: z.object({ items: z.array(place()) }),
    },
    recordProject: {
      summary: 'Say whether anything of a project is saved without being asked for',
      input: z.object({ project: text, recorded: z.boolean() }),
      /** `dropped`: how many checkpoints of its sessions were deleted. */
      output: z.object({ project: text, recorded: z.boolean(), dropped: z.number() }),
    },
    trustProject: {
      summary: 'Say whether a folder may choose model server, model and tools, and name MCP servers to start',
      input: z.object({ project: text, trusted: z.boolean() }),
      output: z.object({ project: text, trusted: z.boolean() }),
    },
  }) as const satisfies ShapesOf<typeof projectRoutes>;
