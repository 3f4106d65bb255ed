/** Words of English questions that say nothing of what is asked for. */
export const stopWords: ReadonlySet<string> = new Set(
  (
    'a an the of to in on at for and or is are was were did do does what when where who which how why with her his their its it that ' +
    'this has have had be been by from as about'
  ).split(' '),
);
