"""Forty chats of two responses each: seeded mixtures of prose, code, scripts, numbers and noise, short and long."""

import random

SENTENCES = [
    "The river rises in the hills and reaches the sea after ninety kilometres.",
    "A good knife is kept dry, and sharpened a little and often.",
    "Bread needs flour, water, salt and time; the rest is habit.",
    "In the winter of 1987 the harbour froze for the first time in a century.",
    "The library opens at nine, but the reading room stays closed on Mondays.",
    "Every measurement has an uncertainty, and a number without one says little.",
    "She counted the windows twice: 144 on the south side, 96 on the north.",
    "Copper conducts heat about twice as well as aluminium of the same weight would.",
    "Nobody remembers who planted the walnut tree in front of the school.",
    "A queue is served in the order of arrival; a stack, in the reverse order.",
    "If the lamp blinks three times, the battery holds for another hour.",
    "The committee met on 3 May 2021, 14:30, and postponed the vote again.",
    "Sound takes about three seconds for a kilometre, light hardly any time.",
    "They moved the piano through the window, since the stairs were too narrow.",
    "Most of the letters were written in pencil, on the backs of old maps.",
]
CODE = [
    "def mean(numbers):\n    return sum(numbers) / len(numbers)\n",
    "fn main() {\n    let total: u64 = (1..=100).sum();\n    println!(\"{total}\");\n}\n",
    "for (int i = 0; i < n; ++i) {\n    if (a[i] > a[best]) best = i;\n}\n",
    "SELECT name, COUNT(*) FROM visits WHERE year >= 2020 GROUP BY name ORDER BY 2 DESC;\n",
    "const words = text.split(/\\s+/).filter(word => word.length > 3);\n",
    "<ul class=\"list\">\n\t<li>one</li>\n\t<li>two</li>\n</ul>\n",
    "{\"id\": 17, \"tags\": [\"a\", \"b\"], \"ratio\": 0.125, \"next\": null}\n",
]
SCRIPTS = [
    "今天天气很好，我们去公园散步吧。", "図書館は九時に開きますが、月曜日は休みです。", "물은 섭씨 100도에서 끓습니다.",
    "Вода кипит при ста градусах.", "Το ποτάμι φτάνει στη θάλασσα.", "النهر يصل إلى البحر.", "नदी समुद्र तक पहुँचती है।",
    "Où est la gare, s'il vous plaît ?", "Der Fluß fließt ins Meer – 90 km weit.", "機械学習 (きかいがくしゅう)",
]
ODD = ["🙂", "👩‍🚀🚀", "…", "  \n\n", "\t", "e\u0301", "½", "№ 5", "###", "→", "0x1F", "<b>", "\\frac{1}{2}", "—", "€ 9,99"]


def number(draw):
    return draw.choice([
        str(draw.randrange(10)),
        str(draw.randrange(1_000_000)),
        f"{draw.random() * 100:.3f}",
        f"-{draw.randrange(500)}",
        f"{draw.randrange(1, 29)}/{draw.randrange(1, 13)}/{draw.randrange(1900, 2030)}",
        f"{draw.randrange(10**11)}",
        f"{draw.randrange(2, 40)} × {draw.randrange(2, 40)}",
        f"1e-{draw.randrange(1, 9)}",
    ])


def mixture(draw, parts):
    """So many parts: prose mostly, or anything."""
    kinds = [
        lambda: draw.choice(SENTENCES), lambda: draw.choice(SENTENCES), lambda: draw.choice(CODE),
        lambda: draw.choice(SCRIPTS), lambda: number(draw), lambda: draw.choice(ODD),
    ]
    return draw.choice([" ", "\n", " "]).join(draw.choice(kinds)() for _ in range(parts))


def asked(draw):
    """A question, and an answer to it."""
    one, other = draw.randrange(2, 90), draw.randrange(2, 90)
    sentence, script = draw.choice(SENTENCES), draw.choice(SCRIPTS)
    numbers = [draw.randrange(1000) for _ in range(draw.randrange(4, 12))]
    return draw.choice([
        (f"What is {one} + {other}?", f"{one} + {other} = {one + other}."),
        (f"Sort these numbers: {', '.join(map(str, numbers))}", ", ".join(map(str, sorted(numbers)))),
        (
            f"Say this in other words: {sentence}",
            f"In other words: {draw.choice(SENTENCES)} {draw.choice(SENTENCES)}",
        ),
        (f"How many words has this sentence?\n\n{sentence}", f"It has {len(sentence.split())} words."),
        (
            f"Which language is this? {script}",
            f"I am not sure, but \"{script[:8]}\" may help: {draw.choice(SCRIPTS)}",
        ),
        (
            f"What does this program do?\n```\n{draw.choice(CODE)}```",
            f"Nearly the same as this one:\n\n```\n{draw.choice(CODE)}```",
        ),
        ("Write a list of three things to pack.", "1. A raincoat\n2. Two apples\n3. A map of the town, scale 1:10,000"),
    ])


def chats():
    """Rows as `hps log-probs` reads them."""
    rows = []
    for index in range(40):
        draw = random.Random(1900 + index)
        question, answer = asked(draw)
        messages = []
        if index % 5 == 1:
            messages.append({"role": "system", "content": draw.choice(SENTENCES)})
        if index % 4 == 2:
            earlier = asked(draw)
            messages += [{"role": "user", "content": earlier[0]}, {"role": "assistant", "content": earlier[1]}]
        if index % 8 == 3:
            question = mixture(draw, draw.randrange(25, 45)) + "\n\n" + question
        messages.append({"role": "user", "content": question})
        other = mixture(draw, draw.choice([1, 2, 4, 7]))
        responses = [[{"role": "assistant", "content": text}] for text in [answer, other]]
        rows.append({"prompt": messages, "responses": responses, "rewards": [1.0, 0.0]})
    return rows
