//! Looks at each token before the parser does. The words `and or not` are operators; what people who think in Pine write
//! is told and taken for what they mean, so that the rest of the script is checked too.

use crate::parse::SyntaxError;
use rhai::{LexError, Position, Token};
use std::cell::RefCell;
use std::rc::Rc;

/// What the tokens of one text said.
#[derive(Default)]
pub struct Seen {
    /// Where the last token stood.
    pub furthest: Option<Position>,
    pub problems: Vec<SyntaxError>,
    /// Names whose definition was told already, or that are none: those of arguments.
    pub lost: Vec<String>,
    /// Brackets that are open.
    open: Vec<Token>,
    /// How many brackets were open at each `?` whose `:` has not come.
    questions: Vec<usize>,
    last: Option<Token>,
}

/// A callback for the parser that writes to what it shares.
pub fn watch(seen: Rc<RefCell<Seen>>) -> impl Fn(Token, Position) -> Token {
    move |token, at| seen.borrow_mut().token(token, at)
}

impl Seen {
    fn token(&mut self, token: Token, at: Position) -> Token {
        self.furthest = self.furthest.max(Some(at));
        let token = self.meant(token, at);
        match token {
            Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart => self.open.push(token.clone()),
            Token::RightParen | Token::RightBracket | Token::RightBrace => drop(self.open.pop()),
            Token::SemiColon => self.questions.clear(),
            _ => {}
        }
        self.last = Some(token.clone());
        token
    }

    fn meant(&mut self, token: Token, at: Position) -> Token {
        let nested = self.open.len();
        match &token {
            Token::Identifier(name) => match name.as_str() {
                "and" => Token::And,
                "or" => Token::Or,
                "not" => Token::Bang,
                "AND" => self.habit(at, "AND", "write and, or &&", Token::And),
                "OR" => self.habit(at, "OR", "write or, or ||", Token::Or),
                "NOT" => self.habit(at, "NOT", "write not, or !", Token::Bang),
                "varip" => self.habit(at, "varip", LET, Token::Let),
                _ => token,
            },
            Token::Reserved(word) if word.as_str() == "var" => self.habit(at, "var", LET, Token::Let),
            Token::Reserved(sign) if sign.as_str() == "?" => {
                self.questions.push(nested);
                self.habit(at, "a ? b : c", "write select(a, b, c)", Token::DoubleQuestion)
            }
            Token::Colon if self.questions.last() == Some(&nested) => {
                self.questions.pop();
                Token::DoubleQuestion
            }
            Token::DoubleQuestion => self.habit(at, "??", "write nz(x, default)", Token::DoubleQuestion),
            Token::LexError(error) => match &**error {
                LexError::ImproperSymbol(sign, _) if sign == ":=" => {
                    self.lose_last();
                    self.habit(at, ":=", "write x = …, or let x = … for a new name", Token::Equals)
                }
                LexError::MalformedChar(text) => {
                    let text = Token::StringConstant(Box::new(text.as_str().into()));
                    self.problem(at, "a text stands in double quotes", "write \"text\"");
                    text
                }
                _ => token,
            },
            Token::Equals if self.open.last() == Some(&Token::LeftParen) => {
                self.lose_last();
                self.problem(at, "arguments have no names here", "write f(a, b): the values, in order");
                Token::DoubleQuestion
            }
            _ => token,
        }
    }

    /// The name before is told with what follows it.
    fn lose_last(&mut self) {
        if let Some(Token::Identifier(name)) = &self.last {
            self.lost.push(name.to_string());
        }
    }

    fn habit(&mut self, at: Position, what: &str, hint: &str, meant: Token) -> Token {
        self.problem(at, &format!("\"{what}\" is not in the language"), hint);
        meant
    }

    fn problem(&mut self, at: Position, message: &str, hint: &str) {
        // A text without a right line in it is told up to what one answer holds.
        if self.problems.len() < vyx_engine::wire::MAX_PROBLEMS {
            self.problems.push(SyntaxError { at, message: message.into(), hint: Some(hint.into()) });
        }
    }
}

const LET: &str = "write let x = …; a value of the candle before is x[1]";
