import * as z from 'zod/mini';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import { windowDeletedSentence } from '../words/trash.ts';
import type { AgentTool } from './agentTool.ts';
import { count, described, notes, sessionId, windowName } from './fields.ts';

type Input<Name extends keyof ReturnType<typeof windowToolShapes>> = z.input<
  ReturnType<typeof windowToolShapes>[Name]['input']
>;
type Output<Name extends keyof ReturnType<typeof windowToolShapes>> = z.input<
  ReturnType<typeof windowToolShapes>[Name]['output']
>;

const windowFreeze: AgentTool<Input<'window_freeze'>, Output<'window_freeze'>> = {
  title: 'Freeze Session',
  description:
    'Stores a session as a named window: its text, its exact token ids and its KV cache. The session takes no messages until ' +
    'the window is thawed; with "checkpoint" it stays open.',
  effect: 'adds',
  asksModel: true,
  async run(backend, { session_id, window_name, description, tags, checkpoint }) {
    const input = { session: session_id, window: window_name, description, tags, checkpoint };
    const receipt = await backend.call('freeze', input);
    // The window is there, whatever can be read of it.
    const made = await backend.call('getWindow', { window: receipt.window }).catch(() => null);
    return {
      success: true,
      window_name: receipt.window,
      session_id: receipt.session,
      block_count: blocksOf(receipt),
      total_size_bytes: receipt.kvBytes,
      token_count: receipt.tokens,
      storage_tier: receipt.tier,
      prompt_hash: made && made.manifest.tokens.sha256,
      cache_salt: made?.saltHash ?? null,
      summary: receipt.summary,
      notes: receipt.notes,
    };
  },
};

const windowThaw: AgentTool<Input<'window_thaw'>, Output<'window_thaw'>> = {
  title: 'Thaw Window',
  description:
    'Opens a window as a new session, loads its KV cache and measures what the model server reused of it. The verdict says ' +
    'what was proven. Can take a minute with a long context.',
  effect: 'adds',
  asksModel: true,
  async run(backend, { window_name, new_session_id, continuation_prompt, warm_cache, resume }) {
    const cold = warm_cache === false ? { warm: false } : {};
    // An agent does not move the user's own conversation.
    const input = {
      window: window_name,
      session: new_session_id,
      prompt: continuation_prompt,
      resume,
      copy: !resume,
      ...cold,
    };
    const receipt = await backend.call('thaw', input);
    const { content, floorTokens, cachedTokens, promptTokens, verdict } = receipt;
    const expected = content.checksums === 'not-run' ? null : content.blocksChecked;
    return {
      success: true,
      session_id: receipt.session,
      window_name: receipt.window,
      token_count: receipt.tokens,
      restoration_time_ms: receipt.ms,
      partial: verdict === 'partial',
      verdict,
      cache_hit: cachedTokens === null ? null : cachedTokens > 0,
      blocks_expected: expected,
      blocks_found: expected === null ? null : expected - content.blocksMissing - content.blocksDamaged,
      tokens_reused: cachedTokens,
      tokens_reusable: floorTokens,
      cache_efficiency: cachedTokens === null || !promptTokens ? null : Math.min(1, cachedTokens / promptTokens),
      model_compatible: verdict !== 'mismatch',
      answer: receipt.answer?.text ?? null,
      summary: receipt.summary,
      warnings: receipt.notes,
    };
  },
};

const windowClone: AgentTool<Input<'window_clone'>, Output<'window_clone'>> = {
  title: 'Clone Window',
  description: 'Makes a second window over the same content. It shares every KV block and writes none.',
  effect: 'adds',
  async run(backend, { source_window, target_window, description, tags }) {
    const receipt = await backend.call('clone', { window: source_window, target: target_window, description, tags });
    const { lineageWindows } = await backend.call('getWindow', { window: receipt.window });
    return {
      success: true,
      source_window,
      target_window: receipt.window,
      token_count: receipt.tokens,
      shared_blocks: blocksOf(receipt),
      bytes_written: receipt.kvBytesWritten,
      lineage: lineageWindows,
      summary: receipt.summary,
    };
  },
};

const windowDelete: AgentTool<Input<'window_delete'>, Output<'window_delete'>> = {
  title: 'Delete Window',
  description:
    'Deletes a window. Its records go to the trash; its KV blocks are deleted, except those that other windows need. A person is ' +
    'asked first.',
  effect: 'deletes',
  async run(backend, { window_name, delete_blocks }) {
    const deleted = await backend.call('deleteWindow', { window: window_name, keepBlocks: delete_blocks === false });
    return {
      success: true,
      window_name: deleted.window,
      blocks_deleted: deleted.blocksDeleted,
      blocks_kept: deleted.blocksKept,
      space_freed_bytes: deleted.bytesFreed,
      summary: windowDeletedSentence(deleted),
    };
  },
};

/** What makes, opens and deletes windows. */
export const windowTools = {
  window_freeze: windowFreeze,
  window_thaw: windowThaw,
  window_clone: windowClone,
  window_delete: windowDelete,
} as const;

export const windowToolShapes = () =>
  ({
    window_freeze: {
      input: z.object({
        session_id: sessionId(),
        window_name: windowName(),
        ...notes(),
        checkpoint: z.optional(described(z.boolean(), 'Leave the session open. Default: false.')),
      }),
      output: z.object({
        success: z.boolean(),
        window_name: z.string(),
        session_id: z.string(),
        block_count: count(),
        total_size_bytes: count(),
        token_count: z.number(),
        storage_tier: z.nullable(z.string()),
        prompt_hash: described(z.nullable(z.string()), 'SHA-256 of the exact token ids.'),
        cache_salt: described(
          z.nullable(z.string()),
          'The beginning of the SHA-256 of the salt: the same where windows share KV. The salt itself is secret.',
        ),
        summary: z.string(),
        notes: z.array(z.string()),
      }),
    },
    window_thaw: {
      input: z.object({
        window_name: windowName(),
        new_session_id: z.optional(
          described(
            z.string().check(z.minLength(1), z.maxLength(64)),
            'Id of the session that is made. Default: "thaw-", the window and the time.',
          ),
        ),
        continuation_prompt: z.optional(
          described(z.string().check(z.maxLength(10_000)), 'A message that the opened session sends at once.'),
        ),
        warm_cache: z.optional(
          described(z.boolean(), 'False opens the text only and asks the model server nothing. Default: true.'),
        ),
        resume: z.optional(described(z.boolean(), 'Continue the frozen session itself. Default: false.')),
      }),
      output: z.object({
        success: z.boolean(),
        session_id: z.string(),
        window_name: z.string(),
        token_count: z.number(),
        restoration_time_ms: z.number(),
        partial: z.boolean(),
        verdict: z.nullable(z.string()),
        cache_hit: z.nullable(z.boolean()),
        blocks_expected: count(),
        blocks_found: count(),
        tokens_reused: count(),
        tokens_reusable: count(),
        cache_efficiency: count(),
        model_compatible: z.boolean(),
        answer: z.nullable(z.string()),
        summary: z.string(),
        warnings: z.array(z.string()),
      }),
    },
    window_clone: {
      input: z.object({ source_window: windowName(), target_window: windowName(), ...notes() }),
      output: z.object({
        success: z.boolean(),
        source_window: z.string(),
        target_window: z.string(),
        token_count: z.number(),
        shared_blocks: count(),
        bytes_written: count(),
        lineage: z.array(z.string()),
        summary: z.string(),
      }),
    },
    window_delete: {
      input: z.object({
        window_name: windowName(),
        force: z.optional(
          described(z.boolean(), 'Skip the question to a person. Only where the user allows that for this server.'),
        ),
        delete_blocks: z.optional(described(z.boolean(), 'False leaves its KV blocks on the disk. Default: true.')),
      }),
      output: z.object({
        success: z.boolean(),
        window_name: z.string(),
        blocks_deleted: z.number(),
        blocks_kept: z.number(),
        space_freed_bytes: z.number(),
        summary: z.string(),
      }),
    },
  }) as const;

/** Whole KV blocks of the context; null where the model server does not tell the size of one. */
const blocksOf = ({ tokens, blockTokens }: Receipt): number | null =>
  blockTokens === null ? null : Math.floor(tokens / blockTokens);
