"""The runs of the scoreboard, notebook by notebook; `benchmarks/scoreboard.py` trains them.

Each nbNN/recipes.py has one function per task and one line per run. A function takes the seed and builds an untrained
`Experiment`; what it names there or imports from the package goes into the hash of its rows, so a change elsewhere
leaves them fresh. Values given by `partial` must be plain.
"""

from course_utils.experiments.nb01 import recipes as nb01
from course_utils.experiments.nb02 import recipes as nb02
from course_utils.experiments.nb03 import recipes as nb03
from course_utils.experiments.nb04 import recipes as nb04
from course_utils.experiments.nb05 import recipes as nb05
from course_utils.experiments.nb06 import recipes as nb06
from course_utils.experiments.nb07 import recipes as nb07
from course_utils.experiments.nb08 import recipes as nb08
from course_utils.experiments.nb09 import recipes as nb09
from course_utils.experiments.nb10 import recipes as nb10
from course_utils.experiments.nb11 import recipes as nb11
from course_utils.experiments.nb13 import recipes as nb13
from course_utils.experiments.nb14 import recipes as nb14
from course_utils.experiments.nb15 import recipes as nb15
from course_utils.experiments.nb16 import recipes as nb16
from course_utils.experiments.nb17 import recipes as nb17
from course_utils.experiments.nb20 import recipes as nb20
from course_utils.experiments.nb21 import recipes as nb21
from course_utils.experiments.nb22 import recipes as nb22
from course_utils.experiments.nb23 import recipes as nb23
from course_utils.experiments.nb24 import recipes as nb24

RECIPES = [
    *nb01.RECIPES,
    *nb02.RECIPES,
    *nb03.RECIPES,
    *nb04.RECIPES,
    *nb05.RECIPES,
    *nb06.RECIPES,
    *nb07.RECIPES,
    *nb08.RECIPES,
    *nb09.RECIPES,
    *nb10.RECIPES,
    *nb11.RECIPES,
    *nb13.RECIPES,
    *nb14.RECIPES,
    *nb15.RECIPES,
    *nb16.RECIPES,
    *nb17.RECIPES,
    *nb20.RECIPES,
    *nb21.RECIPES,
    *nb22.RECIPES,
    *nb23.RECIPES,
    *nb24.RECIPES,
]
