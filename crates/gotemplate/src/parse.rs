//! Parses tokens into nodes.

use crate::{
    ast::{BlockKind, Command, Node, Operand, Pipeline, Term},
    error::ParseError,
    lex::{Lexed, Token, lex},
    span::Span,
    value::Value,
};

/// How deeply blocks and parentheses may be nested.
const MAX_DEPTH: usize = 64;

/// Go's keywords and functions that are not supported.
const UNSUPPORTED: [&str; 10] =
    ["define", "template", "block", "break", "continue", "call", "html", "js", "slice", "urlquery"];

pub(crate) fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0, variables: vec![String::new()], end: text.len() };
    let (nodes, terminator) = parser.nodes()?;
    match terminator {
        Terminator::EndOfText => Ok(nodes),
        Terminator::End(span) => Err(ParseError::new("this {{end}} has no matching block", span)),
        Terminator::Else(span) => Err(ParseError::new("this {{else}} has no matching block", span)),
    }
}

/// What ended a sequence of nodes.
enum Terminator {
    EndOfText,
    End(Span),
    Else(Span),
}

struct Parser {
    tokens: Vec<Lexed>,
    at: usize,
    depth: usize,
    /// The variables that are visible here.
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
            return Err(ParseError::new(format!("nested more than {MAX_DEPTH} levels deep"), self.span()));
        }
        Ok(())
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Terminator), ParseError> {
        self.enter()?;
        let mut nodes = Vec::new();
        let terminator = loop {
            let Some(lexed) = self.tokens.get(self.at).cloned() else {
                break Terminator::EndOfText;
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
                            break Terminator::End(span);
                        }
                        "else" => {
                            self.at += 1;
                            break Terminator::Else(lexed.span.to(self.last_span()));
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
        Ok((nodes, terminator))
    }

    fn close(&mut self) -> Result<(Span, bool), ParseError> {
        let span = self.span();
        match self.peek() {
            Some(Token::Close { trims }) => {
                let trims = *trims;
                self.at += 1;
                Ok((span, trims))
            }
            _ => Err(ParseError::new("expected }} here", span)),
        }
    }

    /// Parses a block, from its keyword (or the `if` or `with` of `{{else if}}`).
    fn block(&mut self, kind: BlockKind, open: Span) -> Result<Node, ParseError> {
        self.enter()?;
        self.at += 1;
        let visible = self.variables.len();
        let pipeline = self.pipeline(if kind == BlockKind::Range { 2 } else { 1 })?;
        self.close()?;
        let unclosed = || ParseError::new("this block has no {{end}}", open);
        let inside = self.variables.len();
        let (body, terminator) = self.nodes()?;
        self.variables.truncate(inside);
        let otherwise = match terminator {
            Terminator::EndOfText => return Err(unclosed()),
            Terminator::End(_) => Vec::new(),
            Terminator::Else(_) => match self.peek().cloned() {
                Some(Token::Name(word)) if word == "if" && kind == BlockKind::If => {
                    vec![self.block(BlockKind::If, open)?]
                }
                Some(Token::Name(word)) if word == "with" && kind == BlockKind::With => {
                    vec![self.block(BlockKind::With, open)?]
                }
                _ => {
                    self.close()?;
                    let (nodes, terminator) = self.nodes()?;
                    match terminator {
                        Terminator::End(_) => nodes,
                        Terminator::Else(span) => {
                            return Err(ParseError::new("this block has a second {{else}}", span));
                        }
                        Terminator::EndOfText => return Err(unclosed()),
                    }
                }
            },
        };
        self.variables.truncate(visible);
        self.depth -= 1;
        Ok(Node::Block { kind, pipeline, body, otherwise })
    }

    /// Parses a pipeline that may set at most `max_variables`.
    fn pipeline(&mut self, max_variables: usize) -> Result<Pipeline, ParseError> {
        self.enter()?;
        let (variables, declares) = self.variables(max_variables)?;
        let start = self.span();
        let mut commands = vec![self.command()?];
        while self.peek() == Some(&Token::Pipe) {
            self.at += 1;
            let command = self.command()?;
            let callable = matches!(command.operands.first(), Some(first)
                if matches!(first.term, Term::Function(_)) && first.fields.is_empty());
            if !callable {
                return Err(ParseError::new("expected a function after |", command.span));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline { variables, declares, commands, span: start.to(self.last_span()) })
    }

    /// Parses `$x :=`, `$i, $x :=` or `$x =`, if one is next.
    fn variables(&mut self, max: usize) -> Result<(Vec<String>, bool), ParseError> {
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
                    if names.len() > max {
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
                return Err(ParseError::new("a space is needed before this", self.span()));
            }
            operands.push(self.operand()?);
        }
        let span = start.to(self.last_span());
        match operands.as_slice() {
            [] => Err(ParseError::new("a value is missing here", start)),
            [only] if only.term == Term::Literal(Value::Nil) => Err(ParseError::new("nil cannot be used alone", span)),
            [first, _, ..] if !matches!(first.term, Term::Function(_)) || !first.fields.is_empty() => {
                Err(ParseError::new("only functions take arguments", first.span))
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
                return Err(ParseError::new(format!("the variable ${name} is not defined"), span));
            }
            Token::Name(name) if UNSUPPORTED.contains(&name.as_str()) => {
                return Err(ParseError::new(format!("Go's `{name}` is not supported"), span));
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
            _ => return Err(ParseError::new("expected a value here", span)),
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
