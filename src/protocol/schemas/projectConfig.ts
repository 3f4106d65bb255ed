import * as z from 'zod/mini';
import type { ProjectUri } from '../ids.ts';
import { lineageIdSchema, sessionIdSchema, windowNameSchema } from './ids.ts';
import { memorySettingsSchema } from './sessionSettings.ts';
import { toolSettingsSchema } from './toolCall.ts';

const described = z.describe;
const stamp = (what: string) =>
  z.optional(
    z
      .string()
      .check(
        z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d/, 'an instant like 2026-11-30T08:00:00Z'),
        described(`${what}, as an ISO 8601 instant.`),
      ),
  );

const mostPaths = 200;
/** Below the folder that has the file: no absolute path, no drive, no way up. */
const innerPath = z
  .string()
  .check(
    z.minLength(1),
    z.maxLength(1024),
    z.regex(/^(?![/\\~])(?![A-Za-z]:)(?!(?:.*[/\\])?\.\.(?:[/\\]|$))[^\0]+$/, 'a path below the folder, without ".."'),
  );
const innerPaths = (what: string) => z.optional(z.array(innerPath).check(z.maxLength(mostPaths), described(what)));

/** `.cwm/config.json` of a project. It can name no path outside its folder; its model server and tools count where the user trusts the folder. */
export const projectConfigSchema = z.object({
  $schema: z.optional(z.string().check(described('Where editors find the schema of this file.'))),
  version: z.string().check(z.regex(/^\d+\.\d+$/, 'a version like "1.0"'), described('Version of this format: 1.0.')),
  project: z
    .object({
      name: z.string().check(z.minLength(1), z.maxLength(255), described('The name that people see.')),
      id: z.optional(
        z
          .uuid()
          .check(
            described(
              'A UUID. A folder with the id of a project that is elsewhere is proposed as its new place, never taken by itself.',
            ),
          ),
      ),
    })
    .check(described('The project of this folder and of all folders below it.')),
  auto_switch: z
    .prefault(z.boolean(), true)
    .check(described('Whether opening the folder brings the KV of its current session back. Off: it is offered.')),
  strict_mode: z
    .prefault(z.boolean(), false)
    .check(
      described('Whether a program that works in this folder is refused what changes a session of another project.'),
    ),
  dry_run: z
    .prefault(z.boolean(), false)
    .check(described('Opening the folder only says what it would do, and changes nothing.')),
  system_prompt: z.optional(
    z.string().check(z.maxLength(65_536), described('The system prompt of new sessions that name none.')),
  ),
  rules: innerPaths('Text files whose content follows the system prompt, in this order. Relative to the folder.'),
  prime: innerPaths("Files and folders at the beginning of each session: the project's base. Relative to the folder."),
  engine: z.optional(
    z.string().check(
      z.maxLength(4096),
      // Folders of this machine behind a "#" are the user's to name.
      z.regex(/^(embedded|https?:\/\/[^\s#]+)$/, 'an http: or https: URL without a "#", or "embedded"'),
      described('Model server of new sessions: a URL, or "embedded". Used only where you trust the folder.'),
    ),
  ),
  model: z.optional(
    z
      .string()
      .check(
        z.minLength(1),
        z.maxLength(1024),
        described('Which model of "engine", where that server has several. Used only where you trust the folder.'),
      ),
  ),
  tools: z.optional(
    toolSettingsSchema.check(described('Tools of new sessions. Used only where you trust the folder.')),
  ),
  memory: z.optional(
    memorySettingsSchema.check(
      described('Virtual memory of new sessions, and which policy decides what leaves their prompts.'),
    ),
  ),
  memories: z.optional(
    z
      .boolean()
      .check(
        described(
          'Whether new sessions begin with what is remembered for the user, for tools and for the project ("cwm memory remember").',
        ),
      ),
  ),
  isolation: z
    .prefault(z.enum(['project', 'session']), 'project')
    .check(
      described(
        '"project": new sessions share the KV of the project\'s base. "session": each has a salt of its own, and shares nothing.',
      ),
    ),
  branches: z.optional(
    z
      .enum(['shared', 'separate'])
      .check(
        described(
          '"separate": the folder remembers a current session for each git branch. "shared": one for all of them. Default: as the editor is set.',
        ),
      ),
  ),
  budget: z.optional(
    z
      .object({
        base_tokens: z.optional(
          z.int().check(z.positive(), described("The most tokens of the files in the project's base.")),
        ),
      })
      .check(described('Limits of what is made for the project.')),
  ),
  description: z.optional(z.string().check(z.maxLength(1000), described('What the project is.'))),
  created_at: stamp('When the project was made'),
  updated_at: stamp('When this file was changed'),
});
export type ProjectConfig = z.infer<typeof projectConfigSchema>;

/** How a project was found, the first that has an answer. `default`: nothing is known of the folder. */
const resolutionTiers = ['explicit', 'config', 'registry', 'default'] as const;

/** Which project a folder belongs to. */
export const projectResolutionSchema = z.object({
  tier: z.enum(resolutionTiers),
  /** Canonical URI of the project's folder: the one that has the configuration, else the folder itself. Null: there is no folder. */
  project: z.nullable(z.string()),
  name: z.string(),
  /** `project.id` of the configuration. */
  id: z.nullable(z.string()),
  configPath: z.nullable(z.string()),
});
export type ProjectResolution = z.infer<typeof projectResolutionSchema>;

/** What lets a project be recognised in another folder. It only proposes: a fork or a hostile clone has the same. */
export interface ProjectHints {
  /** URL of the repository's `origin`, without a user or password. */
  readonly remote: string | null;
  /** The repository's first commit. */
  readonly firstCommit: string | null;
}

export interface KnownProject {
  readonly project: ProjectUri;
  readonly name: string | null;
  /** `project.id` of its configuration. */
  readonly id: string | null;
  readonly hints: ProjectHints;
}

/** A project in another folder that may be the same one. */
export const projectCandidateSchema = z.object({
  project: z.string(),
  name: z.string(),
  /** What both have: the id in the configuration, the repository's first commit, or its remote. */
  why: z.enum(['id', 'first-commit', 'remote']),
  sessions: z.number(),
  /** Its folder is not there any more. */
  isGone: z.boolean(),
});
export type ProjectCandidate = z.infer<typeof projectCandidateSchema>;

/** The fixed beginning of a project's sessions: system prompt, rules, files and tools, as they were when it was made. */
export const projectBaseSchema = z.object({
  window: windowNameSchema,
  /** The session that the window is of; it takes no turns. */
  session: sessionIdSchema,
  lineage: lineageIdSchema,
  /** It belongs to one model server, and one model of it. */
  engine: z.string(),
  model: z.string(),
  tokens: z.number(),
  /** In the order of the prompt. `sha256`: of the text. */
  files: z.array(z.object({ path: z.string(), sha256: z.string() })),
  /** SHA-256 of system prompt and rules; null: there are none. */
  system: z.nullable(z.string()),
  /** What it was made of, beside the configuration; null: of what that names. */
  paths: z.nullable(z.array(z.string())),
  /** Whether the user's and the project's memories stand at its end. Default: no. */
  memories: z.optional(z.boolean()),
  madeAt: z.string(),
});
export type ProjectBase = z.infer<typeof projectBaseSchema>;

/** How a base compares with what the files say now. */
export const baseChangesSchema = z.object({
  changed: z.array(z.string()),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  /** Whether the system prompt or a rule changed, which stand before all files. */
  systemChanged: z.boolean(),
  /** Whether new sessions have other tools, which stand there, too. An older backend leaves it out. */
  toolsChanged: z.optional(z.boolean()),
  /** Of the base's tokens, those that a renewed base would begin with; null: the tools changed, or the model server could not be asked. */
  sharedTokens: z.nullable(z.number()),
});
export type BaseChanges = z.infer<typeof baseChangesSchema>;
