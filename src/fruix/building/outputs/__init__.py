"""What a builder left: taking it (`stage`), the rules that it has to keep (`checks`), and what the build was for (`modes`)."""
