import * as z from 'zod/mini';
import type { Message } from '../protocol/schemas/session.ts';
import { unknownText } from '../words/conversationText.ts';
import type { AgentTool } from './agentTool.ts';
import { count, described, pageInput, pageOutput, sessionId } from './fields.ts';
import { pageAnswer, pageOf } from './page.ts';

type Input<Name extends keyof ReturnType<typeof conversationToolShapes>> = z.input<
  ReturnType<typeof conversationToolShapes>[Name]['input']
>;
type Output<Name extends keyof ReturnType<typeof conversationToolShapes>> = z.input<
  ReturnType<typeof conversationToolShapes>[Name]['output']
>;

/** An agent's own context is limited, too. */
const mostCharacters = 4000;

const conversationRead: AgentTool<Input<'conversation_read'>, Output<'conversation_read'>> = {
  title: 'Read Conversation',
  description: 'Reads the messages of a session, oldest first, in pages. It changes nothing.',
  effect: 'reads',
  async run(backend, { session_id, branch, max_characters, ...paging }) {
    const page = pageOf(paging, 20);
    const found = await backend.call('listMessages', { session: session_id, branch, ...page });
    const most = max_characters ?? mostCharacters;
    const messages = found.items.map(({ id, role, sequence, createdAt, content }) => {
      const text = plainText(content);
      return { id, role, sequence, text: text.slice(0, most), cut: text.length > most, created_at: createdAt };
    });
    return { messages, ...pageAnswer(page, found) };
  },
};

function plainText(content: Message['content']): string {
  switch (content.type) {
    case 'text':
    case 'plan':
    case 'tool-result':
      return content.text;
    case 'context':
      return `Files: ${content.files.map(({ path }) => path).join(', ')}`;
    case 'tool-calls':
    case 'question':
      return [content.text, ...content.calls.map((call) => `${call.name} ${call.arguments}`)].join('\n').trim();
    case 'unknown':
      return unknownText(content);
  }
}

const conversationSearch: AgentTool<Input<'conversation_search'>, Output<'conversation_search'>> = {
  title: 'Search Conversations',
  description:
    'Finds messages in all sessions and branches by their words. The best match comes first. Of files that were added, only the names are searched.',
  effect: 'reads',
  async run(backend, { text, session_id, ...paging }) {
    const page = pageOf(paging, 20);
    const found = await backend.call('searchMessages', { text, session: session_id, ...page });
    const matches = found.items.map(({ message, session, title, role, excerpt, createdAt }) => ({
      message_id: message,
      session_id: session,
      title,
      role,
      excerpt: excerpt.text,
      created_at: createdAt,
    }));
    return { matches, ...pageAnswer(page, found) };
  },
};

const branchList: AgentTool<Input<'branch_list'>, Output<'branch_list'>> = {
  title: 'List Branches',
  description: 'Lists the branches of a session, with their tokens and how many of these another branch shares.',
  effect: 'reads',
  async run(backend, { session_id }) {
    const { items } = await backend.call('listBranches', { session: session_id });
    return {
      branches: items.map((branch) => ({
        name: branch.name,
        active: branch.active,
        messages: branch.length,
        token_count: branch.tokens,
        shared_tokens: branch.sharedTokens,
        shared_with: branch.sharedWith,
      })),
    };
  },
};

const branchCreate: AgentTool<Input<'branch_create'>, Output<'branch_create'>> = {
  title: 'Create Branch',
  description:
    'Makes a branch of a session at one of its messages, and switches to it. What comes before is shared; the other branch stays as it is.',
  effect: 'adds',
  async run(backend, { session_id, name, at_message }) {
    const session = await backend.call('createBranch', { session: session_id, name, at: at_message });
    return { session_id: session.id, branch: session.activeBranch, branches: Object.keys(session.branches) };
  },
};

const branchSwitch: AgentTool<Input<'branch_switch'>, Output<'branch_switch'>> = {
  title: 'Switch Branch',
  description: 'Switches a session to another of its branches. The next message continues there.',
  effect: 'changes',
  async run(backend, { session_id, branch }) {
    const session = await backend.call('updateBranch', { session: session_id, branch });
    return { session_id: session.id, branch: session.activeBranch, branches: Object.keys(session.branches) };
  },
};

/** Conversations, which an agent reads, and their branches. */
export const conversationTools = {
  conversation_read: conversationRead,
  conversation_search: conversationSearch,
  branch_list: branchList,
  branch_create: branchCreate,
  branch_switch: branchSwitch,
} as const;

const branchOutput = () => z.object({ session_id: z.string(), branch: z.string(), branches: z.array(z.string()) });

export const conversationToolShapes = () =>
  ({
    conversation_read: {
      input: z.object({
        session_id: sessionId(),
        branch: z.optional(described(z.string(), 'Default: the active branch.')),
        max_characters: z.optional(
          described(
            z.int().check(z.gte(1), z.lte(100_000)),
            `Most characters of one message. Default: ${mostCharacters}.`,
          ),
        ),
        ...pageInput(20),
      }),
      output: z.object({
        messages: z.array(
          z.object({
            id: z.string(),
            role: z.string(),
            sequence: z.number(),
            text: z.string(),
            cut: z.boolean(),
            created_at: z.string(),
          }),
        ),
        ...pageOutput(),
      }),
    },
    conversation_search: {
      input: z.object({
        text: described(z.string().check(z.minLength(1)), 'Words that must all occur; words in quotes occur together.'),
        session_id: z.optional(sessionId()),
        ...pageInput(20),
      }),
      output: z.object({
        matches: z.array(
          z.object({
            message_id: z.string(),
            session_id: z.string(),
            title: z.string(),
            role: z.string(),
            excerpt: z.string(),
            created_at: z.string(),
          }),
        ),
        ...pageOutput(),
      }),
    },
    branch_list: {
      input: z.object({ session_id: sessionId() }),
      output: z.object({
        branches: z.array(
          z.object({
            name: z.string(),
            active: z.boolean(),
            messages: z.number(),
            token_count: count(),
            shared_tokens: z.number(),
            shared_with: z.nullable(z.string()),
          }),
        ),
      }),
    },
    branch_create: {
      input: z.object({
        session_id: sessionId(),
        name: z.optional(described(z.string(), 'Default: "branch-2" and so on.')),
        at_message: z.optional(
          described(z.string(), 'Id of the last message that is shared. Default: the last one of the active branch.'),
        ),
      }),
      output: branchOutput(),
    },
    branch_switch: {
      input: z.object({ session_id: sessionId(), branch: described(z.string(), 'Name of the branch.') }),
      output: branchOutput(),
    },
  }) as const;
