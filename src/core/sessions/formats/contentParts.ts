import { arrayOf, nameOf, objectOf, type Transcript } from './said.ts';

/** Results of tools hold parts, and no program puts a result into a result. */
const deepest = 2;

interface Parts {
  readonly text: string;
  readonly reasoning: string;
}

/**
 * The text of a message whose content is a text or a list of parts, as OpenAI and Anthropic write it. Calls of tools and their results
 * become text, so that nothing that was said is lost; what cannot be text is noted.
 */
export function textOfParts(content: unknown, transcript: Transcript, depth = 0): Parts {
  if (typeof content === 'string') return { text: content, reasoning: '' };
  const texts: string[] = [];
  const reasoning: string[] = [];
  for (const part of arrayOf(content) ?? []) {
    const fields = objectOf(part);
    const type = fields?.['type'];
    if (typeof part === 'string') texts.push(part);
    else if (typeof fields?.['text'] === 'string') texts.push(fields['text']);
    else if (type === 'thinking' && typeof fields?.['thinking'] === 'string') reasoning.push(fields['thinking']);
    else if (type === 'tool_use') texts.push(toolCall(fields?.['name'], fields?.['input'], transcript));
    else if (type === 'tool_result' && depth < deepest) {
      texts.push(toolResult(textOfParts(fields?.['content'], transcript, depth + 1).text, transcript));
    } else if (part !== null) transcript.count(`Parts of the kind "${nameOf(type)}" that were left out`);
  }
  return { text: texts.join('\n\n'), reasoning: reasoning.join('\n\n') };
}

export function toolCall(name: unknown, input: unknown, transcript: Transcript): string {
  transcript.count('Tool calls that are text now');
  return `Tool call ${nameOf(name)}: ${typeof input === 'string' ? input : JSON.stringify(input)}`;
}

export function toolResult(text: string, transcript: Transcript): string {
  transcript.count('Tool results that are text now');
  return `Tool result: ${text}`;
}
