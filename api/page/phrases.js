// People in the words of a scene: who is mentioned, and where in the text a phrase stands. Text in, values out.

const KINDS =
  "man|woman|boy|girl|child|kid|baby|person|lady|gentleman|guy|teenager|bride|groom|father|mother|grandfather|" +
  "grandmother|dad|mom|mum|son|daughter|brother|sister|king|queen|prince|princess|knight|pirate|astronaut|doctor|nurse|" +
  "chef|cook|dancer|singer|musician|actor|actress|teacher|student|farmer|sailor|pilot|painter|scientist|detective|wizard|witch";
const TRAITS =
  "hair|beard|moustache|mustache|hat|cap|glasses|eyes|coat|dress|shirt|sweater|jacket|scarf|braids?|bun|ponytail|curls|" +
  "freckles|earrings|crown|umbrella";
const ARTICLE = /^(?:an?|the|one|another)\s+/i;
const PLACE = "(?:on|at|in) the (?:far )?(?:left|right|middle|cent(?:er|re))(?: side)?";
const MENTION = new RegExp(
  `\\b(?:an?|the|one|another)\\s+(?:(?!and\\b|or\\b|with\\b)[\\p{L}-]+\\s+){0,2}?(?:${KINDS})\\b` +
    `(?:\\s+with\\s+(?:an?\\s+)?(?:(?!and\\b)[\\p{L}-]+\\s+){0,2}?(?:${TRAITS})\\b)?(?:\\s+${PLACE})?`,
  "giu",
);
const SIDES = {
  2: ["on the left", "on the right"],
  3: ["on the left", "in the middle", "on the right"],
  4: ["first from the left", "second from the left", "second from the right", "first from the right"],
  5: ["first from the left", "second from the left", "in the middle", "second from the right", "first from the right"],
};

/** Everybody whom the scene mentions, in order: where ([start, end)), and the phrase that finds them. */
export function mentioned(scene) {
  const found = [...scene.matchAll(MENTION)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    phrase: phraseOf(match[0]),
  }));
  for (const one of found) {
    const alike = found.filter((other) => bare(other.phrase) === bare(one.phrase));
    const sides = SIDES[alike.length];
    if (sides && !alike.some((other) => other.sided || new RegExp(PLACE, "i").test(other.phrase))) {
      alike.forEach((other, place) => Object.assign(other, { phrase: `${other.phrase} ${sides[place]}`, sided: true }));
    }
  }
  return found;
}

/** Words of the scene as a phrase to look for: "a  man" is "the man". */
export function phraseOf(words) {
  const text = words.trim().replaceAll(/\s+/g, " ").replaceAll(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
  return ARTICLE.test(text) ? text.replace(ARTICLE, "the ") : text;
}

/** Where in the scene each phrase stands, [start, end) or null; two alike take the first and the second place. */
export function places(scene, phrases) {
  const taken = [];
  return phrases.map((phrase) => {
    const words = bare(phrase);
    if (!words) return null;
    const text = words.split(" ").map((word) => word.replaceAll(/[^\p{L}\p{N}]/gu, "\\$&")).join("\\s+");
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:(?:an?|the|one|another)\\s+)?${text}(?![\\p{L}\\p{N}])`, "giu");
    for (const match of scene.matchAll(pattern)) {
      const place = [match.index, match.index + match[0].length];
      if (taken.every(([start, end]) => place[1] <= start || end <= place[0])) {
        taken.push(place);
        return place;
      }
    }
    return null;
  });
}

function bare(phrase) {
  return phrase
    .toLowerCase()
    .replace(ARTICLE, "")
    .replaceAll(new RegExp(`\\s*(?:${PLACE}|(?:first|second|third|fourth|fifth) from the (?:left|right))`, "gi"), "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
