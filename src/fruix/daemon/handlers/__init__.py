"""What answers worker operations: questions and upkeep (`query`), additions (`add`), builds (`build`)."""
