"""The runs of the scoreboard, notebook by notebook; `benchmarks/scoreboard.py` trains them.

Each nbNN_recipes.py has one function per task and one line per run. A function takes the seed and builds an untrained
`Experiment`; what it names there or imports from the package goes into the hash of its rows, so a change elsewhere
leaves them fresh. Values given by `partial` must be plain.
"""

from course_utils.experiments import (
    nb01_recipes,
    nb02_recipes,
    nb03_recipes,
    nb04_recipes,
    nb05_recipes,
    nb06_recipes,
    nb07_recipes,
    nb13_recipes,
    nb14_recipes,
    nb15_recipes,
    nb16_recipes,
    nb17_recipes,
    nb20_recipes,
    nb21_recipes,
    nb22_recipes,
    nb23_recipes,
    nb24_recipes,
)

RECIPES = [
    *nb01_recipes.RECIPES,
    *nb02_recipes.RECIPES,
    *nb03_recipes.RECIPES,
    *nb04_recipes.RECIPES,
    *nb05_recipes.RECIPES,
    *nb06_recipes.RECIPES,
    *nb07_recipes.RECIPES,
    *nb13_recipes.RECIPES,
    *nb14_recipes.RECIPES,
    *nb15_recipes.RECIPES,
    *nb16_recipes.RECIPES,
    *nb17_recipes.RECIPES,
    *nb20_recipes.RECIPES,
    *nb21_recipes.RECIPES,
    *nb22_recipes.RECIPES,
    *nb23_recipes.RECIPES,
    *nb24_recipes.RECIPES,
]
