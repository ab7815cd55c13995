"""Pure decisions of placement: which slots a job needs, which it gets, which subtask goes where."""
