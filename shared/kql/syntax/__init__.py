"""The language's form: tokens, literals, the syntax tree, its parser and its printer."""
