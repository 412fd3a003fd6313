# SPDX-License-Identifier: MIT
"""Staging: from the reference, which holds every solution, to the trees that students get.

The reference carries no marker. Each labs/labN-NAME/lab.toml names whole functions to blank;
their bodies are replaced, comment and signature stay.

    cli        the command "stage"
    manifest   what a lab.toml says of exercises
    functions  bodies of C functions: find, replace, put back
    reference  the files of the reference, from git
    starter    what goes into a starter, and with what in place of the solutions
    refs       objects of the solutions of earlier labs, without source
    output     write a starter over nothing but an unchanged older one
    course     the git repository for students, one branch a lab
    leaks      look for lines of the solution where they must not be
    check      "make check-labs": prove that all of this holds
    students   the same for students who go on from lab to lab
    trees      trees that these two write, build and grade
    tools      running make
"""
