import type { ProjectUri } from '../../protocol/ids.ts';
import type { Question, ToolCall } from '../../protocol/schemas/toolCall.ts';
import type { Tool, ToolBox } from '../ports/tools.ts';
import { parseArguments } from './toolCalls.ts';

const mostChoices = 9;
const mostCharacters = 4000;

/** With it, the model asks the user. No machine answers it: a call waits until the user does. */
export const askUser: Tool = {
  name: 'ask_user',
  description: 'Asks the user a question and waits for the answer. Use it when you cannot continue without knowing.',
  inputSchema: {
    type: 'object',
    properties: {
      question: { type: 'string', description: 'what you want to know' },
      choices: {
        type: 'array',
        items: { type: 'string' },
        maxItems: mostChoices,
        description: 'answers to choose from; the user may give another',
      },
    },
    required: ['question'],
    additionalProperties: false,
  },
  readsOnly: true,
  isDestructive: false,
};

/** The tools that a session's model is offered: those of the machine, and the one that asks the user. Sorted by name. */
export async function offeredTools(
  box: ToolBox,
  project: ProjectUri | null,
  signal: AbortSignal,
): ReturnType<ToolBox['list']> {
  const { tools, notes } = await box.list(project, signal);
  const others = tools.filter(({ name }) => name !== askUser.name);
  const hidden = `A tool of an MCP server is left out, because "${askUser.name}" is the tool that asks you.`;
  return {
    tools: [...others, askUser].sort((a, b) => (a.name < b.name ? -1 : 1)),
    notes: others.length < tools.length ? [...notes, hidden] : notes,
  };
}

/** The call with the question that it asks, where it asks one that can be read. */
export function withQuestion(call: ToolCall): ToolCall {
  if (call.name !== askUser.name) return call;
  const question = questionOf(call);
  return typeof question === 'string' ? call : { ...call, question };
}

/** A question, or what is wrong with it, in plain words for the model. */
export function questionOf({ arguments: text }: ToolCall): Question | string {
  const parsed = parseArguments(text);
  if ('problem' in parsed) return parsed.problem;
  const { question, choices = [] } = parsed.given;
  if (typeof question !== 'string' || question.trim() === '') return 'The argument "question" is missing.';
  if (!Array.isArray(choices) || !choices.every((choice) => typeof choice === 'string'))
    return 'The argument "choices" is not a list of texts.';
  const offered = [...new Set(choices.map((choice) => choice.trim().toWellFormed().slice(0, mostCharacters)))]
    .filter((choice) => choice !== '')
    .slice(0, mostChoices);
  return {
    text: question.trim().toWellFormed().slice(0, mostCharacters).toWellFormed(),
    ...(offered.length > 0 && { choices: offered }),
  };
}
