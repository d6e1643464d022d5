//! PTX text to words and signs.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: u32,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

fn of_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'%' | b'.')
}

/// Splits a module into tokens. Comments and what only debuggers read is left out.
pub fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut found: Vec<Token> = Vec::new();
    while at < bytes.len() {
        let c = bytes[at];
        match c {
            b'\n' => {
                line += 1;
                at += 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at += 2;
                while at + 1 < bytes.len() && !(bytes[at] == b'*' && bytes[at + 1] == b'/') {
                    line += u32::from(bytes[at] == b'\n');
                    at += 1;
                }
                at += 2;
            }
            b'"' => {
                let start = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1;
                }
                at = (at + 1).min(bytes.len());
                found.push(Token { text: source[start..at].to_owned(), line });
            }
            c if of_word(c) => {
                let start = at;
                while at < bytes.len() {
                    // `::` belongs to a modifier, `:` ends a label.
                    if of_word(bytes[at]) {
                        at += 1;
                    } else if bytes[at..].starts_with(b"::") {
                        at += 2;
                    } else {
                        break;
                    }
                }
                let text = &source[start..at];
                if matches!(text, ".loc" | ".file" | ".section") {
                    while at < bytes.len() && bytes[at] != b'\n' {
                        at += 1;
                    }
                } else if let Some(words) = text.strip_prefix('.') {
                    // Directives may be written without spaces between them.
                    found.extend(words.split('.').map(|word| Token { text: format!(".{word}"), line }));
                } else {
                    found.push(Token { text: text.to_owned(), line });
                }
            }
            c if c.is_ascii_whitespace() => at += 1,
            c => {
                found.push(Token { text: (c as char).to_string(), line });
                at += 1;
            }
        }
    }
    found
}
