/**
 * Chat templates for models that bring none, each with the tokens by which a vocabulary shows that the model was made for it. They render
 * each message unchanged, so that a longer conversation begins with the shorter one.
 */
export interface BuiltInTemplate {
  /** Tokens of the vocabulary that must all be there. */
  readonly markers: readonly string[];
  readonly source: string;
  /** Text that ends an answer where the vocabulary has no token of that text. */
  readonly end: string;
}

/** Roles in words that the template needs: `r` is the role of message `m`. */
const each = (body: string): string => `{% for m in messages %}{% set r = m['role'] %}${body}{% endfor %}`;
const opening = (text: string): string => `{% if add_generation_prompt %}{{ '${text}' }}{% endif %}`;

const chatMl: BuiltInTemplate = {
  markers: ['<|im_start|>', '<|im_end|>'],
  source:
    each("{{ '<|im_start|>' + r + '\\n' + m['content'] + '<|im_end|>\\n' }}") + opening('<|im_start|>assistant\\n'),
  end: '<|im_end|>',
};

/** By the name that a user may give. The first whose markers are there is taken; ChatML where none is. */
export const builtInTemplates = {
  gemma: {
    markers: ['<start_of_turn>', '<end_of_turn>'],
    // Gemma knows no system role: its text stands before the first message of the user.
    source:
      "{{ bos_token }}{% set ns = namespace(before='') %}" +
      each(
        "{% if r == 'system' %}{% set ns.before = ns.before + m['content'] + '\\n\\n' %}{% else %}" +
          "{{ '<start_of_turn>' + ('model' if r == 'assistant' else 'user') + '\\n' + ns.before + m['content'] + '<end_of_turn>\\n' }}" +
          "{% set ns.before = '' %}{% endif %}",
      ) +
      opening('<start_of_turn>model\\n'),
    end: '<end_of_turn>',
  },
  llama3: {
    markers: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    source:
      '{{ bos_token }}' +
      each("{{ '<|start_header_id|>' + r + '<|end_header_id|>\\n\\n' + m['content'] + '<|eot_id|>' }}") +
      opening('<|start_header_id|>assistant<|end_header_id|>\\n\\n'),
    end: '<|eot_id|>',
  },
  chatml: chatMl,
  phi3: {
    markers: ['<|user|>', '<|assistant|>', '<|end|>'],
    source: each("{{ '<|' + r + '|>\\n' + m['content'] + '<|end|>\\n' }}") + opening('<|assistant|>\\n'),
    end: '<|end|>',
  },
  mistral: {
    markers: ['[INST]', '[/INST]'],
    source:
      "{{ bos_token }}{% set ns = namespace(before='') %}" +
      each(
        "{% if r == 'system' %}{% set ns.before = ns.before + m['content'] + '\\n\\n' %}" +
          "{% elif r == 'assistant' %}{{ m['content'] + eos_token }}" +
          "{% else %}{{ '[INST]' + ns.before + m['content'] + '[/INST]' }}{% set ns.before = '' %}{% endif %}",
      ),
    end: '[INST]',
  },
} as const satisfies Record<string, BuiltInTemplate>;

export type BuiltInTemplateName = keyof typeof builtInTemplates;

const names = Object.keys(builtInTemplates) as BuiltInTemplateName[];

/** All that a vocabulary is searched for. */
export const knownMarkers: readonly string[] = names.flatMap((name) => builtInTemplates[name].markers);

export const isBuiltInTemplate = (name: string): name is BuiltInTemplateName => names.some((known) => known === name);

/** The template for a vocabulary that has these markers. */
export const templateForMarkers = (markers: readonly string[]): BuiltInTemplateName =>
  names.find((name) => builtInTemplates[name].markers.every((marker) => markers.includes(marker))) ?? 'chatml';
