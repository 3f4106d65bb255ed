import { Template } from '@huggingface/jinja';
import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../src/embedded/http/apiError.ts';
import { ChatTemplate } from '../../../src/embedded/http/chatTemplate.ts';
import type { TemplateFields } from '../../../src/embedded/http/requests.ts';
import { aModel } from '../support/aModel.ts';

const source = `{{ bos_token }}{% for m in messages %}{% if m.role == 'critic' %}{{ raise_exception('No critics.') }}{% endif %}\
<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}{% if tools %}[{{ tools | length }} tools]{% endif %}\
{% if mood %}({{ mood }}){% endif %}{% if add_generation_prompt %}<assistant>{% endif %}`;

const render = (request: Partial<TemplateFields>): string =>
  new ChatTemplate(aModel(), { template: new Template(source), stopStrings: [], notice: null }).render({
    messages: [{ role: 'user', content: 'Hi' }],
    ...request,
  });

describe('a chat template', () => {
  it("renders messages with the model's own ends, and opens an answer unless the request says no", () => {
    expect(render({})).toBe('<s><user>Hi</s><assistant>');
    expect(render({ add_generation_prompt: false })).toBe('<s><user>Hi</s>');
  });

  it('says whether it lists tools', () => {
    const takesTools = (text: string): boolean =>
      new ChatTemplate(aModel(), { template: new Template(text), stopStrings: [], notice: null }).takesTools;
    expect(takesTools(source)).toBe(true);
    expect(takesTools('{% for m in messages %}{{ m.content }}{% endfor %}')).toBe(false);
    expect(takesTools("{{ raise_exception('Never.') }}")).toBe(true);
  });

  it('says what chats with the same system prompt begin with', () => {
    const template = new ChatTemplate(aModel(), { template: new Template(source), stopStrings: [], notice: null });
    const shared = (messages: TemplateFields['messages']): string =>
      template.sharedText({ messages }, template.render({ messages }));
    const system = { role: 'system', content: 'Be brief.' };
    const user = { role: 'user', content: 'Hi' };
    expect(shared([system, user])).toBe('<s><system>Be brief.</s><user>');
    expect(shared([system, user, { role: 'assistant', content: 'Ho' }, user])).toBe('<s><system>Be brief.</s><user>');
    expect(shared([user])).toBe('<s><user>');
    expect(shared([system])).toBe('');
  });

  it('gets tools and arguments of the request', () => {
    expect(render({ tools: [{}, {}], chat_template_kwargs: { mood: 'calm' } })).toBe(
      '<s><user>Hi</s>[2 tools](calm)<assistant>',
    );
  });

  it('gets content of text parts as one text, and no content as an empty one', () => {
    const content = [
      { type: 'text', text: 'one' },
      { type: 'text', text: 'two' },
    ];
    const messages = [
      { role: 'user', content },
      { role: 'assistant', content: null },
    ];
    expect(render({ messages })).toBe('<s><user>one\ntwo</s><assistant></s><assistant>');
  });

  it.each<[string, Partial<TemplateFields>, string]>([
    [
      'a message to be continued',
      { continue_final_message: true },
      '`continue_final_message` is not supported by this engine.',
    ],
    ['another template', { chat_template: 'x' }, "Only the model's own chat template is used."],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'Content of type "image_url" is not supported.',
    ],
    [
      'messages that the template refuses, in its own words',
      { messages: [{ role: 'critic', content: 'Hm' }] },
      'The chat template cannot render these messages: No critics.',
    ],
  ])('answers 400 to %s', (_, request, message) => {
    expect(() => render(request)).toThrow(new ApiError(400, message));
  });

  it('S4-14 that writes only the first call of a message, without a word, gets a message for each call', () => {
    const first =
      '{% for m in messages %}<{{ m.role }}{% if m.tool_calls %} {{ m.tool_calls[0].function.name }}{% endif %}>' +
      '{{ m.content }}{% endfor %}{% if tools %}.{% endif %}';
    const template = new ChatTemplate(aModel(), { template: new Template(first), stopStrings: [], notice: null });
    const call = (name: string) => ({ id: name, type: 'function', function: { name, arguments: '{}' } });
    const messages = [
      { role: 'user', content: 'Both.' },
      { role: 'assistant', content: 'I look.', tool_calls: [call('one'), call('two')] },
      { role: 'tool', content: '1', tool_call_id: 'one' },
      { role: 'tool', content: '2', tool_call_id: 'two' },
    ];
    expect(template.render({ messages, tools: [{}] })).toBe(
      '<user>Both.<assistant one>I look.<tool>1<assistant two><tool>2.',
    );
  });
});
