//! Templates of the kinds that models have, against the texts that transformers 5.24 renders of them (jinja2 3.1.6).

use hps_llama::ErrorKind;
use hps_llama::chat::{ChatTemplate, Message, TemplateDate};

/// A template, and its texts for the two conversations.
struct Case {
    name: &'static str,
    template: &'static str,
    expected: [&'static str; 2],
}

const CASES: &[Case] = &[
    Case {
        name: "llama 3",
        template: "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
        expected: [
            "<s><|start_header_id|>user<|end_header_id|>\n\nHi é<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n1 < 2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nYes.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ],
    },
    Case {
        name: "llama 2",
        template: "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns have to alternate') }}{% endif %}{% if loop.index0 == 0 and system != false %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}{% else %}{% set text = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        expected: [
            "<s>[INST] Hi é [/INST]",
            "<s>[INST] <<SYS>>\nBe kind.\n\n<</SYS>>\n\n1 < 2? [/INST] <think>\nhm\n</think>\n\nYes. </s><s>[INST] Sure? [/INST]",
        ],
    },
    Case {
        name: "zephyr",
        template: "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}\n",
        expected: [
            "<|user|>\n Hi é </s>\n<|assistant|>\n",
            "<|system|>\nBe kind.\n</s>\n<|user|>\n1 < 2?</s>\n<|assistant|>\n<think>\nhm\n</think>\n\nYes. </s>\n<|user|>\nSure?</s>\n<|assistant|>\n",
        ],
    },
    Case {
        name: "chatml, default system message",
        template: "{% if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nYou help.<|im_end|>\\n' -}}{% endif %}\n{%- for message in messages %}\n    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>' ~ '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
        expected: [
            "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n Hi é <|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>system\nBe kind.\n<|im_end|>\n<|im_start|>user\n1 < 2?<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nYes. <|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
        ],
    },
    Case {
        name: "mistral",
        template: "{%- if messages[0].role == \"system\" %}\n    {%- set system = messages[0].content %}\n    {%- set turns = messages[1:] %}\n{%- else %}\n    {%- set turns = messages %}\n{%- endif %}\n{%- set ns = namespace(index=0) %}\n{{- bos_token }}\n{%- for m in turns %}\n    {%- if (m.role == \"user\") != (ns.index % 2 == 0) %}\n        {{- raise_exception(\"user and assistant have to alternate, not \" + m.role) }}\n    {%- endif %}\n    {%- set ns.index = ns.index + 1 %}\n    {%- if m.role == \"user\" %}\n        {%- if system is defined and loop.last %}\n            {{- \"[INST] \" + system + \"\\n\\n\" + m.content + \"[/INST]\" }}\n        {%- else %}\n            {{- \"[INST] \" + m.content + \"[/INST]\" }}\n        {%- endif %}\n    {%- else %}\n        {{- \" \" + m.content | trim + eos_token }}\n    {%- endif %}\n{%- endfor %}\n",
        expected: [
            "<s>[INST]  Hi é [/INST]",
            "<s>[INST] 1 < 2?[/INST] <think>\nhm\n</think>\n\nYes.</s>[INST] Be kind.\n\n\nSure?[/INST]",
        ],
    },
    Case {
        name: "qwen, tools",
        template: "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- for tool in tools %}\n        {{- \"\\n\" }}{{- tool | tojson }}\n    {%- endfor %}\n    {{- '<|im_end|>\\n' }}\n{%- elif messages[0].role == 'system' %}\n    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n{%- endif %}\n{%- set ns = namespace(last=messages|length - 1, seen=true) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.seen and message.role == \"user\" and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}\n        {%- set ns.seen = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{%- for message in messages %}\n    {%- if message.role == \"user\" or (message.role == \"system\" and not loop.first) %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- elif message.role == \"assistant\" %}\n        {%- set content = message.content %}\n        {%- set thought = '' %}\n        {%- if message.thought is defined and message.thought is not none %}\n            {%- set thought = message.thought %}\n        {%- elif '</think>' in message.content %}\n            {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}\n            {%- set thought = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n        {%- endif %}\n        {%- if loop.index0 > ns.last and (loop.last or thought) %}\n            {{- '<|im_start|>assistant\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}\n        {%- else %}\n            {{- '<|im_start|>assistant\\n' + content }}\n        {%- endif %}\n        {%- if message.tool_calls %}x{%- endif %}\n        {{- '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}off{%- endif %}\n{%- endif %}",
        expected: [
            "<|im_start|>user\n Hi é <|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>system\nBe kind.\n<|im_end|>\n<|im_start|>user\n1 < 2?<|im_end|>\n<|im_start|>assistant\nYes. <|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
        ],
    },
    Case {
        name: "gemma, no system role",
        template: "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\\n\\n' %}{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}{% for m in turns %}{% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + (first if loop.first else '') }}{% if m['content'] is string %}{{ m['content'] | trim }}{% elif m['content'] is iterable %}{% for item in m['content'] %}{{ item['text'] }}{% endfor %}{% endif %}{{ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
        expected: [
            "<s><start_of_turn>user\nHi é<end_of_turn>\n<start_of_turn>model\n",
            "<s><start_of_turn>user\nBe kind.\n\n\n1 < 2?<end_of_turn>\n<start_of_turn>model\n<think>\nhm\n</think>\n\nYes.<end_of_turn>\n<start_of_turn>user\nSure?<end_of_turn>\n<start_of_turn>model\n",
        ],
    },
    Case {
        name: "smollm",
        template: "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are small.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
        expected: [
            "<|im_start|>system\nYou are small.<|im_end|>\n<|im_start|>user\n Hi é <|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>system\nBe kind.\n<|im_end|>\n<|im_start|>user\n1 < 2?<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nYes. <|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
        ],
    },
    Case {
        name: "crlf",
        template: "{{ bos_token }}\r\n{% for m in messages %}\r\n{{ m.role }}:\r\n  {%- if true %} {{ m.content | trim }}{% endif %}\r\n\r\n{% endfor %}\r\n{{ 'a\r\nb' }}\rend\r\n",
        expected: [
            "<s>\nuser: Hi é\na\nb\nend",
            "<s>\nsystem: Be kind.\nuser: 1 < 2?\nassistant: <think>\nhm\n</think>\n\nYes.\nuser: Sure?\na\nb\nend",
        ],
    },
    Case {
        name: "generation",
        template: "{% for m in messages %}\n  {%- if m.role == 'assistant' %}\n    {% generation %}\n{{ m.content }}\n    {%- set inner = 1 %}\n    {%- endgeneration -%}\n  {%- else %}\n    {{- m.content }} {{ inner }}\n  {%- endif %}\n{% endfor %}\n{{ '{% generation %}' }}{# {% generation %} #}{% raw %}\n{% generation %}{% endraw %}",
        expected: [
            " Hi é  {% generation %}\n{% generation %}",
            "Be kind.\n 1 < 2? <think>\nhm\n</think>\n\nYes. Sure? {% generation %}\n{% generation %}",
        ],
    },
    Case {
        name: "dicts in order",
        template: "{% set d = {'role': 'meta', 'date': 1, 'a': [2, none, true, 1.5, 1e20]} %}{{ d | tojson }}{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{{ d }}{{ d | list }}{{ dict(z=1, b=\"it's\") }}{% for k, v in d | dictsort %}{{ k }}{% endfor %}{{ messages[0] | tojson(indent=2) }}{{ d | tojson(separators=(',', ':'), sort_keys=true) }}{{ messages[0].content | tojson(ensure_ascii=true) }}",
        expected: [
            "{\"role\": \"meta\", \"date\": 1, \"a\": [2, null, true, 1.5, 1e+20]}role=meta;date=1;a=[2, None, True, 1.5, 1e+20];roledatea{'role': 'meta', 'date': 1, 'a': [2, None, True, 1.5, 1e+20]}['role', 'date', 'a']{'z': 1, 'b': \"it's\"}adaterole{\n  \"role\": \"user\",\n  \"content\": \" Hi é \"\n}{\"a\":[2,null,true,1.5,1e+20],\"date\":1,\"role\":\"meta\"}\" Hi \\u00e9 \"",
            "{\"role\": \"meta\", \"date\": 1, \"a\": [2, null, true, 1.5, 1e+20]}role=meta;date=1;a=[2, None, True, 1.5, 1e+20];roledatea{'role': 'meta', 'date': 1, 'a': [2, None, True, 1.5, 1e+20]}['role', 'date', 'a']{'z': 1, 'b': \"it's\"}adaterole{\n  \"role\": \"system\",\n  \"content\": \"Be kind.\\n\"\n}{\"a\":[2,null,true,1.5,1e+20],\"date\":1,\"role\":\"meta\"}\"Be kind.\\n\"",
        ],
    },
    Case {
        name: "what is what",
        template: "{{ none is iterable }}{{ tools is iterable }}{{ 'a' is iterable }}{{ nothing | length }}{{ 'a' is sequence }}{{ {} is sequence }}{{ true is number }}{{ none | string }}{{ 1.0 ~ none }}{{ nothing is iterable }}{{ 2.5 | round }}{{ 'a\\nb\\n' | indent(2) }}{{ '\"' | e }}{{ none | trim }}{{ [1, 'a', none] | join('-') }}",
        expected: [
            "FalseFalseTrue0TrueTrueTrueNone1.0NoneTrue2.0a\n  b\n&#34;None1-a-None",
            "FalseFalseTrue0TrueTrueTrueNone1.0NoneTrue2.0a\n  b\n&#34;None1-a-None",
        ],
    },
    Case {
        name: "strings",
        template: "{{ 'é<x'.find('<') }}{{ ''.isdigit() }}{{ '12'.isdigit() }}{{ \"it's a-dog\" | title }}{{ \"it's a-dog\".title() }}{{ 'hELLO' | capitalize }}{{ '\\x1ca\\x1f'.strip() }}{{ '\\x1cb\\x1f' | trim }}{{ 'a\\x1cb c'.split() }}{{ 'a\\nb\\r\\nc'.splitlines() }}{{ 'a\\/b' }}{{ '\\U0001F600\\v' }}{{ 'ab1'.islower() }}{{ ['\\n\\u200b', \"'\"] }}{{ 'a b' is lower }}{{ '1' is lower }}{{ 'A B' is upper }}{{ 'aB' is upper }}",
        expected: [
            "1FalseTrueIt's A-DogIt'S A-DogHelloab['a', 'b', 'c']['a', 'b', 'c']a\\/b😀\u{b}True['\\n\\u200b', \"'\"]TrueFalseTrueFalse",
            "1FalseTrueIt's A-DogIt'S A-DogHelloab['a', 'b', 'c']['a', 'b', 'c']a\\/b😀\u{b}True['\\n\\u200b', \"'\"]TrueFalseTrueFalse",
        ],
    },
    Case {
        name: "macros and scopes",
        template: "{%- macro turn(role, text='-') -%}\n<{{ role }}>{{ text | trim }}{{ eos_token }}\n{%- endmacro -%}\n{% set n = 0 %}{% for m in messages %}{% set n = n + 1 %}{{ turn(m.role, m.content) }}{{ n }}{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}{{ n }}{{ turn('x') }}{% with a = 1 %}{{ a }}{% endwith %}{{ a }}{% filter upper %}q{% endfilter %}{% set b %}\n w{% endset %}{{ b }}|\n\n",
        expected: ["<user>Hi é</s>10<x>-</s>1Q w|\n", "<system>Be kind.</s>1<user>1 < 2?</s>10<x>-</s>1Q w|\n"],
    },
];

fn conversations() -> [Vec<Message>; 2] {
    let long = [
        Message::new("system", "Be kind.\n"),
        Message::user("1 < 2?"),
        Message::assistant("<think>\nhm\n</think>\n\nYes. "),
        Message::user("Sure?"),
    ];
    [vec![Message::user(" Hi é ")], long.to_vec()]
}

fn render(template: &ChatTemplate, messages: &[Message]) -> hps_llama::Result<String> {
    template.render(messages, true, [("bos_token", "<s>"), ("eos_token", "</s>")])
}

fn rendered(source: &str) -> hps_llama::Result<String> {
    render(&ChatTemplate::new(source, "t.jinja")?, &conversations()[0])
}

#[test]
fn as_transformers_renders_them() {
    for Case { name, template, expected } in CASES {
        let template = ChatTemplate::new(*template, *name).expect(name);
        for (messages, expected) in conversations().iter().zip(expected) {
            assert_eq!(render(&template, messages).expect(name), *expected, "{name}");
        }
    }
}

#[test]
fn errors_name_the_template_and_its_line() {
    let template = "{% for m in messages %}\n{% if m.role == 'user' %}\n{{ raise_exception('no ' + m.role) }}{% endif %}{% endfor %}";
    let error = rendered(template).expect_err("it raises");
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Template, "t.jinja:3: no user".to_string()));
    assert_eq!(error.at("rows.jsonl:7").to_string(), "rows.jsonl:7: t.jinja:3: no user");
    let error = rendered("a\n{% if %}").expect_err("no condition").to_string();
    assert!(error.starts_with("t.jinja:2: "), "{error}");
    // Jinja2 has no JSON for them either.
    for (template, part) in [
        ("{{ nothing | tojson }}", "t.jinja:1: an undefined value has no JSON"),
        ("{{ 'a' | pprint }}", "filter pprint is unknown"),
    ] {
        let error = rendered(template).expect_err(template).to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_day_is_given() {
    let source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}";
    assert_eq!(rendered(source).expect("a fixed day"), "26 Jul 2024");
    let date: TemplateDate = "2026-11-30".parse().expect("a day");
    let dated = ChatTemplate::new(source, "t.jinja").expect("a template").with_date(date);
    assert_eq!(render(&dated, &conversations()[0]).expect("the day"), "30 Nov 2026");
    let error = rendered("\n{{ strftime_now('%Y') }}").expect_err("no day").to_string();
    assert_eq!(error, "t.jinja:2: strftime_now is unknown; `template_date` gives the day that it writes");
    let unknown = ChatTemplate::new("{{ strftime_now('%Q') }}", "t.jinja").expect("a template").with_date(date);
    let error = render(&unknown, &conversations()[0]).expect_err("no such directive").to_string();
    assert_eq!(error, "t.jinja:1: `%Q` of the format \"%Q\" is not known");
}

/// Python's `strftime` of the same days.
#[test]
fn days_as_python_writes_them() {
    let format = "%d %b %Y|%A %a %B %-d %e %j %y %m %F %D %U %W %w %u %H:%M:%S %I %p %%";
    for (day, expected) in [
        (
            "2026-11-30",
            "30 Nov 2026|Monday Mon November 30 30 334 26 11 2026-11-30 11/30/26 48 48 1 1 00:00:00 12 AM %",
        ),
        (
            "2000-01-01",
            "01 Jan 2000|Saturday Sat January 1  1 001 00 01 2000-01-01 01/01/00 00 00 6 6 00:00:00 12 AM %",
        ),
        (
            "2024-02-29",
            "29 Feb 2024|Thursday Thu February 29 29 060 24 02 2024-02-29 02/29/24 08 09 4 4 00:00:00 12 AM %",
        ),
        (
            "1999-12-31",
            "31 Dec 1999|Friday Fri December 31 31 365 99 12 1999-12-31 12/31/99 52 52 5 5 00:00:00 12 AM %",
        ),
        ("2026-01-04", "04 Jan 2026|Sunday Sun January 4  4 004 26 01 2026-01-04 01/04/26 01 00 0 7 00:00:00 12 AM %"),
    ] {
        let date: TemplateDate = day.parse().expect(day);
        assert_eq!(date.format(format).as_deref(), Ok(expected));
        assert_eq!(date.to_string(), day);
    }
    for day in
        ["", "2026-11", "2026-02-29", "2026-13-01", "2026-00-01", "26-11-30", "2026-1-1", "2026-11-30T00", "0000-01-01"]
    {
        let error = day.parse::<TemplateDate>().expect_err(day).to_string();
        assert_eq!(error, format!("`template_date` is \"{day}\"; it is a day of the form YYYY-MM-DD"));
    }
}
