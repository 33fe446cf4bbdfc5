"""Results as pandas data frames; the one place that knows pandas."""

from devise.errors import require


def frame(columns, index=None):
    """A pandas DataFrame.

    Args:
        columns: {name: sequence}, all equally long.
        index: names of the rows; None numbers them.
    Raises:
        MissingDependency: if pandas is not installed.

    >>> frame({"word": ["sea", "coast"], "score": [0.88, 0.81]}, index=[1, 2]).loc[2, "word"]  # doctest: +SKIP
    'coast'
    """
    return require("pandas", "pandas").DataFrame(columns, index=index)
