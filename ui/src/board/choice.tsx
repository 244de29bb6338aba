/** A choice among a few words. */

type ChoiceProps<Word extends string> = {
  label: string;
  value: Word;
  among: readonly Word[];
  choose: (word: Word) => void;
};

export function Choice<Word extends string>({ label, value, among, choose }: ChoiceProps<Word>) {
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => choose(event.target.value as Word)}>
        {among.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}
