//! Tokens to nodes.

use crate::{
    ast::{BlockKind, Command, Node, Operand, Pipeline, Term},
    error::ParseError,
    lex::{Lexed, Token, lex},
    span::Span,
    value::Value,
};

/// How deeply blocks and parentheses may be nested.
const MAX_DEPTH: usize = 64;

/// Go's words that this engine does not do.
const NOT_DONE: [&str; 9] = ["define", "template", "block", "break", "continue", "call", "html", "js", "urlquery"];

pub(crate) fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0, variables: vec![String::new()], end: text.len() };
    let (nodes, ending) = parser.nodes()?;
    match ending {
        UndoReason::Text => Ok(nodes),
        UndoReason::End(span) => Err(ParseError::new("this {{end}} ends nothing", span)),
        UndoReason::Else(span) => Err(ParseError::new("this {{else}} belongs to nothing", span)),
    }
}

/// What stopped a run of nodes.
enum UndoReason {
    Text,
    End(Span),
    Else(Span),
}

struct Parser {
    tokens: Vec<Lexed>,
    at: usize,
    depth: usize,
    /// The variables in sight.
    variables: Vec<String>,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|lexed| &lexed.token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(Span::new(self.end, self.end), |lexed| lexed.span)
    }

    fn last_span(&self) -> Span {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(Span::default(), |lexed| lexed.span)
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::new(format!("nested more than {MAX_DEPTH} deep"), self.span()));
        }
        Ok(())
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, UndoReason), ParseError> {
        self.enter()?;
        let mut nodes = Vec::new();
        let ending = loop {
            let Some(lexed) = self.tokens.get(self.at).cloned() else {
                break UndoReason::Text;
            };
            self.at += 1;
            match lexed.token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Open { trims } => {
                    let keyword = match self.peek() {
                        Some(Token::Name(name)) => name.clone(),
                        _ => String::new(),
                    };
                    match keyword.as_str() {
                        "if" => nodes.push(self.block(BlockKind::If, lexed.span)?),
                        "range" => nodes.push(self.block(BlockKind::Range, lexed.span)?),
                        "with" => nodes.push(self.block(BlockKind::With, lexed.span)?),
                        "end" => {
                            self.at += 1;
                            let span = lexed.span.to(self.close()?.0);
                            break UndoReason::End(span);
                        }
                        "else" => {
                            self.at += 1;
                            break UndoReason::Else(lexed.span.to(self.last_span()));
                        }
                        _ => {
                            let pipeline = self.pipeline(1)?;
                            let (close, after) = self.close()?;
                            let span = lexed.span.to(close);
                            nodes.push(Node::Action { pipeline, span, trims: trims || after });
                        }
                    }
                }
                _ => return Err(ParseError::new("unexpected here", lexed.span)),
            }
        };
        self.depth -= 1;
        Ok((nodes, ending))
    }

    fn close(&mut self) -> Result<(Span, bool), ParseError> {
        let span = self.span();
        match self.peek() {
            Some(Token::Close { trims }) => {
                let trims = *trims;
                self.at += 1;
                Ok((span, trims))
            }
            _ => Err(ParseError::new("}} was expected here", span)),
        }
    }

    /// After `{{`, at the keyword (or at the `if` or `with` of `{{else if}}`).
    fn block(&mut self, kind: BlockKind, open: Span) -> Result<Node, ParseError> {
        self.enter()?;
        self.at += 1;
        let in_sight = self.variables.len();
        let pipeline = self.pipeline(if kind == BlockKind::Range { 2 } else { 1 })?;
        self.close()?;
        let never = || ParseError::new("this block has no {{end}}", open);
        let inside = self.variables.len();
        let (body, ending) = self.nodes()?;
        self.variables.truncate(inside);
        let otherwise = match ending {
            UndoReason::Text => return Err(never()),
            UndoReason::End(_) => Vec::new(),
            UndoReason::Else(_) => match self.peek().cloned() {
                Some(Token::Name(word)) if word == "if" && kind == BlockKind::If => {
                    vec![self.block(BlockKind::If, open)?]
                }
                Some(Token::Name(word)) if word == "with" && kind == BlockKind::With => {
                    vec![self.block(BlockKind::With, open)?]
                }
                _ => {
                    self.close()?;
                    let (nodes, ending) = self.nodes()?;
                    match ending {
                        UndoReason::End(_) => nodes,
                        UndoReason::Else(span) => {
                            return Err(ParseError::new("a second {{else}}", span));
                        }
                        UndoReason::Text => return Err(never()),
                    }
                }
            },
        };
        self.variables.truncate(in_sight);
        self.depth -= 1;
        Ok(Node::Block { kind, pipeline, body, otherwise })
    }

    /// `most`: how many variables it may set.
    fn pipeline(&mut self, most: usize) -> Result<Pipeline, ParseError> {
        self.enter()?;
        let (variables, declares) = self.variables(most)?;
        let start = self.span();
        let mut commands = vec![self.command()?];
        while self.peek() == Some(&Token::Pipe) {
            self.at += 1;
            let command = self.command()?;
            let callable = matches!(command.operands.first(), Some(first)
                if matches!(first.term, Term::Function(_)) && first.fields.is_empty());
            if !callable {
                return Err(ParseError::new("after | a function is needed", command.span));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline { variables, declares, commands, span: start.to(self.last_span()) })
    }

    /// `$x :=`, `$i, $x :=`, `$x =`, if they stand here.
    fn variables(&mut self, most: usize) -> Result<(Vec<String>, bool), ParseError> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek().cloned() {
            names.push(name);
            self.at += 1;
            match self.peek() {
                Some(Token::Comma) => self.at += 1,
                Some(Token::Declare | Token::Assign) => {
                    let declares = self.peek() == Some(&Token::Declare);
                    let span = self.tokens.get(start).map_or(self.span(), |first| first.span.to(self.span()));
                    self.at += 1;
                    if names.len() > most {
                        return Err(ParseError::new("too many variables are set here", span));
                    }
                    if let Some(name) =
                        names.iter().find(|name| name.is_empty() || (!declares && !self.variables.contains(name)))
                    {
                        return Err(ParseError::new(format!("the variable ${name} cannot be set here"), span));
                    }
                    return Ok((names, declares));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Result<Command, ParseError> {
        let start = self.span();
        let mut operands: Vec<Operand> = Vec::new();
        loop {
            match self.peek() {
                None | Some(Token::Close { .. } | Token::Pipe | Token::RightParen) => break,
                _ => {}
            }
            if !operands.is_empty() && !self.tokens.get(self.at).is_some_and(|lexed| lexed.spaced) {
                return Err(ParseError::new("a blank is needed before this", self.span()));
            }
            operands.push(self.operand()?);
        }
        let span = start.to(self.last_span());
        match operands.as_slice() {
            [] => Err(ParseError::new("a value is missing here", start)),
            [only] if only.term == Term::Literal(Value::Nil) => Err(ParseError::new("nil alone is no value", span)),
            [first, _, ..] if !matches!(first.term, Term::Function(_)) || !first.fields.is_empty() => {
                Err(ParseError::new("only a function takes arguments, and this is none", first.span))
            }
            _ => Ok(Command { operands, span }),
        }
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        let Some(Lexed { token, span, .. }) = self.tokens.get(self.at).cloned() else {
            return Err(ParseError::new("a value is missing here", self.span()));
        };
        self.at += 1;
        let mut fields = Vec::new();
        let term = match token {
            Token::Literal(value) => Term::Literal(value),
            Token::Dot => Term::Dot,
            Token::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Token::Variable(name) if self.variables.contains(&name) => Term::Variable(name),
            Token::Variable(name) => {
                return Err(ParseError::new(format!("the variable ${name} is not set"), span));
            }
            Token::Name(name) if NOT_DONE.contains(&name.as_str()) || name == "slice" => {
                return Err(ParseError::new(format!("Go's `{name}` is not done here"), span));
            }
            Token::Name(name) => Term::Function(name),
            Token::LeftParen => {
                let pipeline = self.pipeline(0)?;
                if self.peek() != Some(&Token::RightParen) {
                    return Err(ParseError::new("this ( is never closed with )", span));
                }
                self.at += 1;
                Term::Parentheses(Box::new(pipeline))
            }
            _ => return Err(ParseError::new("a value was expected here", span)),
        };
        while let Some(Lexed { token: Token::Field(name), spaced: false, .. }) = self.tokens.get(self.at) {
            fields.push(name.clone());
            self.at += 1;
        }
        let span = span.to(self.last_span());
        if !fields.is_empty() && matches!(term, Term::Literal(_)) {
            return Err(ParseError::new("a literal has no fields", span));
        }
        Ok(Operand { term, fields, span })
    }
}
