"""What matters in a model: every site taken away for once, its loss and error measured, everything put back."""
